"""What the engine's events become: logs today, metrics and traces later."""
