"""Servers on loopback that stand for the internet and for parts of an installation.

- Web servers with media and feeds: `media_server`, `channel_host`, `captions_server`.
- YouTube and other public sites, by name and TLS: `youtube_host`, `youtube_video`, `site_tls`,
  `public_hosts`; a page that attacks servers on this machine: `foreign_site`.
- A package index and a hub of models: `model_server`.
- What an operator runs: `s3_server`, `tcp_proxy`, `upstream_proxy`, `otlp_receiver`,
  `webhook_receiver`.
- Our own parts: `postgres_servers`, `live_api`, `embedding_worker`, `channel_server`.

Most are context managers that listen on a free port until their block ends.
"""
