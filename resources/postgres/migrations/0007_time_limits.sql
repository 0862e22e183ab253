-- How long it was worked on in this series of attempts: `worked_s`, and since `working_since`. That is null while nobody
-- works on it: in the queue, at rest, and while its run waits for a slot.
alter table ytcaption.transcription
    add column worked_s double precision not null default 0,
    add column working_since timestamptz;
create index on ytcaption.transcription (working_since) where working_since is not null;

-- Whoever ends a run or has it wait, the time until then is kept.
create function ytcaption.keep_time() returns trigger language plpgsql as $$
begin
    new.worked_s := new.worked_s + extract(epoch from now() - old.working_since);
    if new.status <> 'running' then new.working_since := null; end if;
    return new;
end
$$;
create trigger work_is_timed before update of status, working_since on ytcaption.transcription
    for each row when (old.working_since is not null
        and (new.status <> 'running' or new.working_since is distinct from old.working_since))
    execute function ytcaption.keep_time();
