"""The proxies that are measured side by side, each with the amounts of work that it can do."""
