"""Analysers of the decode pass: each sees every frame it asks for, once, at the size it asks for."""
