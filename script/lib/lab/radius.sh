# FreeRADIUS on 127.0.0.1:18120, secret radius-secret. Sourced, never run.
# choi02 sends the code alone, jung02 the password and the code in one field, lim02 and kang02 the password and, when asked, the code.

RADIUS=$BASE/radius
RADIUS_PORT=18120

radius_about() { echo "127.0.0.1:$RADIUS_PORT (secret radius-secret), log $RADIUS/run/log"; }
radius_answers() { echo 'Message-Authenticator = 0x00' | radclient -q -t 1 -r 2 127.0.0.1:$RADIUS_PORT status radius-secret; }
radius_is_up() { is_alive "$RADIUS/run/pid" freeradius && radius_answers >/dev/null 2>&1; }

radius_up() {
  install_packages freeradius freeradius-utils || return 1
  stop_process "$RADIUS/run/pid" freeradius
  mkdir -p "$RADIUS/run" && chown freerad:freerad "$RADIUS/run"
  radius_config >"$RADIUS/radiusd.conf"
  /usr/bin/python3 "$LIB/lab/people.py" radius >"$RADIUS/people" || return 1
  chown -R freerad:freerad "$RADIUS" && chmod 640 "$RADIUS/people" "$RADIUS/radiusd.conf"
  setsid /usr/sbin/freeradius -d "$RADIUS" </dev/null >"$RADIUS/run/out.log" 2>&1 9>&-
  wait_for 10 radius_is_up || { cat "$RADIUS/run/out.log" "$RADIUS/run/log" 2>/dev/null | tail -n 8; return 1; }
}

radius_down() { stop_process "$RADIUS/run/pid" freeradius; }

radius_config() {
  cat <<CONF
name = freeradius
prefix = /usr
libdir = /usr/lib/freeradius
run_dir = $RADIUS/run
logdir = $RADIUS/run
pidfile = $RADIUS/run/pid
log { destination = files, file = $RADIUS/run/log }
max_requests = 1024
# refusals come at once: what the hub's answers take is the hub's to decide
security { user = freerad, group = freerad, reject_delay = 0, status_server = yes }
thread pool { start_servers = 2, max_servers = 8 }
client hub { ipaddr = 127.0.0.1, secret = radius-secret, require_message_authenticator = yes }
modules {
  files { filename = $RADIUS/people }
  pap { }
  totp { }
  always reject { rcode = reject }
  always handled { rcode = handled }
}
CONF
  cat <<'CONF'
server lab {
  listen { type = auth, ipaddr = 127.0.0.1, port = 18120 }
  authorize {
    if (!&User-Password) {
      reject
    }
    files
    if (notfound || noop) {
      reject
    }
    if (&control:Tmp-String-0 == "code") {
      update control {
        Auth-Type := code
      }
    } elsif (&control:Tmp-String-0 == "password+code") {
      update control {
        Auth-Type := both
      }
    } elsif (&State) {
      update control {
        Auth-Type := answer
      }
    } else {
      update control {
        Auth-Type := question
      }
    }
  }
  authenticate {
    Auth-Type code {
      update request {
        TOTP-Password := &User-Password
      }
      totp.authenticate
      if (!ok) {
        reject
      }
    }
    Auth-Type both {
      if (&User-Password !~ /^(.*)([0-9]{6})$/) {
        reject
      }
      update request {
        User-Password := "%{1}"
        TOTP-Password := "%{2}"
      }
      totp.authenticate
      if (!ok) {
        reject
      }
      pap
    }
    Auth-Type question {
      pap
      if (ok) {
        update session-state {
          Tmp-String-1 := &User-Name
        }
        update reply {
          Reply-Message := "Please enter the number on your card:"
        }
        update control {
          Response-Packet-Type := Access-Challenge
        }
        handled
      }
    }
    Auth-Type answer {
      if (!&session-state:Tmp-String-1 || &session-state:Tmp-String-1 != &User-Name) {
        reject
      }
      update request {
        TOTP-Password := &User-Password
      }
      totp.authenticate
      if (!ok) {
        reject
      }
    }
  }
  post-auth {
    # the hub wants it in every answer (CVE-2024-3596)
    update reply {
      Message-Authenticator := 0x00
    }
    Post-Auth-Type REJECT {
      update reply {
        Message-Authenticator := 0x00
      }
    }
    Post-Auth-Type Challenge {
      update reply {
        Message-Authenticator := 0x00
      }
    }
  }
}
CONF
}
