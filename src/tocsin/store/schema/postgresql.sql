-- schema 0009
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO alembic_version (version_num) VALUES ('0009');
CREATE TABLE alert_block_incidents (
	incident BIGINT NOT NULL,
	first BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	CONSTRAINT pk_alert_block_incidents PRIMARY KEY (incident, first)
);
CREATE TABLE alert_blocks (
	first BIGINT NOT NULL,
	last BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_alert_blocks PRIMARY KEY (first)
);
CREATE TABLE alert_sightings (
	stretch BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_alert_sightings PRIMARY KEY (stretch)
);
CREATE TABLE alerts (
	id BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	incident BIGINT NOT NULL,
	service TEXT NOT NULL,
	state TEXT NOT NULL,
	live BOOLEAN NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_alerts PRIMARY KEY (id)
);
CREATE INDEX ix_alerts_incident_id ON alerts (incident, id);
CREATE INDEX ix_alerts_live_id ON alerts (id) WHERE live;
CREATE TABLE calendars (
	name TEXT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_calendars PRIMARY KEY (name)
);
CREATE TABLE changes (
	id BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	service TEXT NOT NULL,
	at BIGINT NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_changes PRIMARY KEY (id)
);
CREATE INDEX ix_changes_service_at ON changes (service, at);
CREATE TABLE contacts (
	id BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	person TEXT NOT NULL,
	live BOOLEAN NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_contacts PRIMARY KEY (id)
);
CREATE INDEX ix_contacts_person_id ON contacts (person, id);
CREATE TABLE duties (
	name TEXT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_duties PRIMARY KEY (name)
);
CREATE TABLE entries (
	id BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	incident BIGINT NOT NULL,
	at BIGINT NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_entries PRIMARY KEY (id)
);
CREATE INDEX ix_entries_incident_id ON entries (incident, id);
CREATE TABLE heartbeats (
	service TEXT NOT NULL,
	name TEXT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_heartbeats PRIMARY KEY (service, name)
);
CREATE TABLE incidents (
	number BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	service TEXT NOT NULL,
	state TEXT NOT NULL,
	severity TEXT NOT NULL,
	quiet BOOLEAN DEFAULT false NOT NULL,
	opened_at BIGINT NOT NULL,
	live BOOLEAN NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_incidents PRIMARY KEY (number)
);
CREATE INDEX ix_incidents_live_number ON incidents (number) WHERE live;
CREATE INDEX ix_incidents_service_number ON incidents (service, number);
CREATE INDEX ix_incidents_state_number ON incidents (state, number);
CREATE INDEX ix_incidents_state_quiet_severity_number ON incidents (workspace, state, quiet, severity, number, service);
CREATE TABLE journal (
	seq BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	at BIGINT NOT NULL,
	kind TEXT NOT NULL,
	versions INTEGER NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_journal PRIMARY KEY (seq)
);
CREATE INDEX ix_journal_at ON journal (at);
CREATE TABLE keys (
	id BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	hash BYTEA NOT NULL,
	revoked BOOLEAN DEFAULT false NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_keys PRIMARY KEY (id),
	CONSTRAINT uq_keys_hash UNIQUE (hash)
);
CREATE TABLE lease (
	name TEXT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	token BIGINT NOT NULL,
	holder TEXT NOT NULL,
	backend INTEGER NOT NULL,
	ends_at BIGINT NOT NULL,
	CONSTRAINT pk_lease PRIMARY KEY (name)
);
CREATE TABLE meta (
	name TEXT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	value BYTEA NOT NULL,
	CONSTRAINT pk_meta PRIMARY KEY (name)
);
CREATE TABLE overrides (
	id BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	schedule TEXT NOT NULL,
	ends_at BIGINT NOT NULL,
	live BOOLEAN NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_overrides PRIMARY KEY (id)
);
CREATE INDEX ix_overrides_live_id ON overrides (id) WHERE live;
CREATE INDEX ix_overrides_schedule_ends_at ON overrides (schedule, ends_at);
CREATE TABLE pages (
	id BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	incident BIGINT NOT NULL,
	person TEXT NOT NULL,
	state TEXT NOT NULL,
	intended_at BIGINT NOT NULL,
	live BOOLEAN NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_pages PRIMARY KEY (id)
);
CREATE INDEX ix_pages_incident_id ON pages (incident, id);
CREATE INDEX ix_pages_live_id ON pages (id) WHERE live;
CREATE INDEX ix_pages_person_id ON pages (person, id);
CREATE TABLE parked (
	id BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	at BIGINT NOT NULL,
	discarded BOOLEAN DEFAULT false NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_parked PRIMARY KEY (id)
);
CREATE TABLE plans (
	version TEXT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	at BIGINT NOT NULL,
	files BYTEA NOT NULL,
	CONSTRAINT pk_plans PRIMARY KEY (version)
);
CREATE TABLE reaches (
	person TEXT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_reaches PRIMARY KEY (person)
);
CREATE TABLE results (
	key TEXT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	at BIGINT NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_results PRIMARY KEY (key)
);
CREATE TABLE runs (
	number BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	incident BIGINT NOT NULL,
	service TEXT NOT NULL,
	playbook TEXT NOT NULL,
	state TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	live BOOLEAN NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_runs PRIMARY KEY (number)
);
CREATE INDEX ix_runs_incident_number ON runs (incident, number);
CREATE INDEX ix_runs_live_number ON runs (number) WHERE live;
CREATE INDEX ix_runs_playbook_number ON runs (playbook, number);
CREATE TABLE silences (
	id TEXT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	ends_at BIGINT NOT NULL,
	live BOOLEAN NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_silences PRIMARY KEY (id)
);
CREATE INDEX ix_silences_ends_at ON silences (ends_at);
CREATE TABLE standings (
	service TEXT NOT NULL,
	playbook TEXT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_standings PRIMARY KEY (service, playbook)
);
CREATE TABLE steps (
	run BIGINT NOT NULL,
	ordinal INTEGER NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_steps PRIMARY KEY (run, ordinal)
);
CREATE TABLE tokens (
	id BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	hash BYTEA NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_tokens PRIMARY KEY (id),
	CONSTRAINT uq_tokens_hash UNIQUE (hash)
);
CREATE TABLE users (
	id BIGINT NOT NULL,
	workspace INTEGER DEFAULT 1 NOT NULL,
	name TEXT NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_users PRIMARY KEY (id),
	CONSTRAINT uq_users_name UNIQUE (name)
);
CREATE TABLE versions (
	id INTEGER NOT NULL,
	engine TEXT NOT NULL,
	tzdata TEXT NOT NULL,
	CONSTRAINT pk_versions PRIMARY KEY (id)
);
