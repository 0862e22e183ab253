-- Who asks may want it kept, whatever its age: no rule of retention takes what one request keeps.
alter table ytcaption.request add column keep boolean not null default false;
create index request_kept on ytcaption.request (transcription_id) where keep;
