"""How the system is run: the local stack, images, charts, dashboards. Imported by nobody."""
