"""Pure Python: no Dagster, driver, model, clock or network."""
