"""CT-report pairs -> structured findings -> a release that ``load_dataset`` opens."""
