-- Who may do what: applied on every `migrate`, after the numbered files. Nobody owns or alters tables
-- here but the migrating user, and nobody may touch a past event.

-- api: takes requests, reads, cancels.
grant usage on schema ytcaption to ytcaption_api;
grant select on ytcaption.media, ytcaption.transcription, ytcaption.request, ytcaption.event,
    ytcaption.segment, ytcaption.migration to ytcaption_api;
grant insert on ytcaption.media, ytcaption.transcription, ytcaption.request, ytcaption.event
    to ytcaption_api;
grant update (
    url, extractor, title, site, audio_key, audio_sha256, audio_size_bytes, audio_duration_s, audio_codec,
    audio_container, audio_sample_rate_hz, audio_channels, audio_stored_at, updated_at
) on ytcaption.media to ytcaption_api;
grant update (
    status, priority, attempt, series_start, queued_at, next_attempt_at, run_id, heartbeat_at, stage,
    progress_done, progress_total, error_code, error_message, document_key, document_sha256,
    traceparent, owner, is_downloading, worked_s, completed_at, updated_at
) on ytcaption.transcription to ytcaption_api;
grant select, insert, update, delete on ytcaption.idempotency, ytcaption.api_key, ytcaption.pause,
    ytcaption.breaker, ytcaption.webhook, ytcaption.webhook_secret, ytcaption.delivery, ytcaption.alert
    to ytcaption_api;
grant select on ytcaption.busy_site, ytcaption.expired_key to ytcaption_api;
grant select, insert on ytcaption.delivery_attempt to ytcaption_api;
-- A callback that is gone is not called again.
grant update (callback_url, keep) on ytcaption.request to ytcaption_api;
grant select, insert on ytcaption.tombstone to ytcaption_api;
grant select, insert, delete on ytcaption.erased_for to ytcaption_api;
grant select on ytcaption.draft_segment, ytcaption.total, ytcaption.audio_use to ytcaption_api;
grant select, insert, update, delete on ytcaption.channel, ytcaption.channel_item to ytcaption_api;
grant select on ytcaption.pace to ytcaption_api;
-- A dry run of a channel goes out from there.
grant select, insert, update, delete on ytcaption.site_day, ytcaption.upstream_proxy to ytcaption_api;
grant select, insert, delete on ytcaption.channel_page to ytcaption_api;
-- Erasing takes rows away; their events stay.
grant delete on ytcaption.media, ytcaption.transcription, ytcaption.request, ytcaption.segment,
    ytcaption.draft_segment, ytcaption.checkpoint, ytcaption.caption_track, ytcaption.caption_accuracy,
    ytcaption.caption_reference, ytcaption.tombstone to ytcaption_api;
grant select on ytcaption.checkpoint, ytcaption.caption_track, ytcaption.caption_accuracy,
    ytcaption.caption_reference to ytcaption_api;
grant execute on function ytcaption.forget_embeddings(text) to ytcaption_api, ytcaption_dagster;

-- dagster: runs and sensors. The only requests it takes are those of channels, for their items.
grant usage on schema ytcaption to ytcaption_dagster;
grant select on ytcaption.media, ytcaption.transcription, ytcaption.request, ytcaption.event,
    ytcaption.segment, ytcaption.migration to ytcaption_dagster;
grant insert on ytcaption.event to ytcaption_dagster;
grant insert, delete on ytcaption.segment to ytcaption_dagster;
grant select, insert, delete on ytcaption.draft_segment, ytcaption.checkpoint to ytcaption_dagster;
grant select, insert, update, delete on ytcaption.caption_track, ytcaption.caption_accuracy,
    ytcaption.caption_reference to ytcaption_dagster;
grant select on ytcaption.pause, ytcaption.tombstone, ytcaption.busy_site, ytcaption.expired_key
    to ytcaption_dagster;
grant select, insert, update, delete on ytcaption.breaker, ytcaption.pace, ytcaption.site_day,
    ytcaption.upstream_proxy to ytcaption_dagster;
grant select, update, delete on ytcaption.channel to ytcaption_dagster;
grant select, insert, update on ytcaption.channel_item to ytcaption_dagster;
grant select, insert, update, delete on ytcaption.channel_page to ytcaption_dagster;
grant insert on ytcaption.media, ytcaption.transcription, ytcaption.request to ytcaption_dagster;
-- What the owners of channels may take.
grant select (id, concurrent_transcriptions, audio_minutes_per_day) on ytcaption.api_key
    to ytcaption_dagster;
grant select on ytcaption.audio_use to ytcaption_dagster;
grant update (url, extractor, title, site) on ytcaption.media to ytcaption_dagster;
grant update (priority, queued_at, owner, traceparent) on ytcaption.transcription to ytcaption_dagster;
grant select (owner, url), insert (owner) on ytcaption.webhook to ytcaption_dagster;
grant select, delete on ytcaption.tombstone, ytcaption.erased_for to ytcaption_dagster;
-- Upkeep: leases of dead notifiers, and what is too old.
grant select, delete on ytcaption.delivery, ytcaption.idempotency to ytcaption_dagster;
grant update (lease, leased_until) on ytcaption.delivery to ytcaption_dagster;
grant update (
    info, audio_key, audio_sha256, audio_size_bytes, audio_duration_s, audio_codec,
    audio_container, audio_sample_rate_hz, audio_channels, audio_stored_at, last_sha256, last_duration_s,
    changed_at, change, updated_at
) on ytcaption.media to ytcaption_dagster;
grant update (
    status, attempt, series_start, next_attempt_at, started_at, stage_started_at, run_id, heartbeat_at, stage,
    source_site, is_downloading, worked_s, working_since,
    progress_done, progress_total, error_code, error_message, document_key, document_sha256, language,
    language_probability, duration_s, speech_s, segment_count, word_count, dropped_count, provenance,
    published_on, completed_at, updated_at
) on ytcaption.transcription to ytcaption_dagster;

-- lake: nothing of this schema; its own schema is its own.
