"""Who calls the API: keys and tokens.

`callers.Callers` finds the caller of either, for the API and for Dagster's page. `api_keys.ApiKeys`
stores keys, `jwt_tokens.JwtTokens` checks tokens of an issuer, and `bind_check.check_bind` keeps an
API without either on this machine. This room must not know HTTP: `api.auth` reads headers and
answers.
"""
