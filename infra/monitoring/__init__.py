"""What watches a running system: scrape configuration, alert rules, the Grafana dashboard.

``python -m infra.monitoring`` writes what is generated: the dashboard, and the list of metrics in docs/operations.md.
"""
