"""Load on the gateway: many simulated calls at once, a provider beside them, and what was measured of both."""
