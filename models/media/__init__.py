"""Untrusted media, opened once in a sandboxed child: frames, statistics, sound and text."""
