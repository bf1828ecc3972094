# PostgreSQL on 127.0.0.1:54329, a cluster of its own. Sourced, never run.

PG=$BASE/postgres
PG_PORT=54329

pg_bin() { find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path "*/bin/$1" 2>/dev/null | sort -V | tail -n 1; }
as_postgres() { (cd / && exec runuser -u postgres -- "$@" 9>&-); }
pg_sql() { as_postgres psql -qAtX -h "$PG" -p $PG_PORT -d postgres -v ON_ERROR_STOP=1 "$@"; }
postgres_about() { echo "postgresql+psycopg://backendai:backendai@127.0.0.1:$PG_PORT/backendai_test"; }
postgres_is_up() {
  PGPASSWORD=backendai psql -qAtX -h 127.0.0.1 -p $PG_PORT -U backendai -d backendai_test -c 'SELECT 1' </dev/null >/dev/null 2>&1
}

postgres_up() {
  install_packages postgresql || return 1
  install -d -o postgres -g postgres -m 755 "$PG"
  [ -s "$PG/data/PG_VERSION" ] ||
    as_postgres "$(pg_bin initdb)" -D "$PG/data" -E UTF8 --locale=C.UTF-8 --auth-local=peer --auth-host=scram-sha-256 >/dev/null || return 1
  chown -R postgres:postgres "$PG"
  # the data are thrown away: speed before safety
  as_postgres "$(pg_bin pg_ctl)" -D "$PG/data" status >/dev/null ||
    as_postgres "$(pg_bin pg_ctl)" -D "$PG/data" -s -w -t 60 -l "$PG/log" -o \
      "-c listen_addresses=127.0.0.1 -p $PG_PORT -k $PG -c fsync=off -c synchronous_commit=off -c max_connections=200" start </dev/null ||
    { tail -n 5 "$PG/log"; return 1; }
  [ "$(pg_sql -c "SELECT 1 FROM pg_roles WHERE rolname = 'backendai'")" = 1 ] ||
    pg_sql -c "CREATE ROLE backendai LOGIN CREATEDB PASSWORD 'backendai'" || return 1
  [ "$(pg_sql -c "SELECT 1 FROM pg_database WHERE datname = 'backendai_test'")" = 1 ] ||
    pg_sql -c 'CREATE DATABASE backendai_test OWNER backendai' || return 1
  postgres_is_up
}

postgres_down() {
  [ -d "$PG/data" ] || return 0
  as_postgres "$(pg_bin pg_ctl)" -D "$PG/data" status >/dev/null || return 0
  as_postgres "$(pg_bin pg_ctl)" -D "$PG/data" -s -m fast stop
}
