"""The main job on real files: uploads and plays go in over HTTP, recommendations come out."""
