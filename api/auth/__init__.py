"""Authentication over HTTP: callers, rate limits, and the routes of keys and of usage.

Public to other features: `authentication.Authenticator` (who a request is from), `dependencies`,
`lasting.LastingAuthorization` (whether a slow response may go on), `rate_limit.RateLimiter`.
`api.dependencies` checks scopes. Keys and tokens themselves belong to `resources.auth`; this room
must not know transcriptions except for quotas.
"""
