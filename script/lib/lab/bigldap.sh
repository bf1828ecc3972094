# A second OpenLDAP with 50,000 people and groups that hold them all: ldap://127.0.0.1:3892 (StartTLS), ldaps://127.0.0.1:3893. Sourced, never run.
# It is another process than the lab's ldap, whose certificates it uses: what is measured here costs nothing there.

BIGLDAP=$BASE/bigldap

bigldap_about() { echo "ldap://127.0.0.1:3892 (StartTLS), ldaps://127.0.0.1:3893, CA $LDAP/tls/ca.pem"; }
bigldap_answers() {
  LDAPTLS_CACERT=$LDAP/tls/ca.pem ldapwhoami -x -H ldaps://127.0.0.1:3893 -D cn=hub,ou=services,dc=big,dc=test -w hub-secret </dev/null
}
bigldap_is_up() { is_alive "$BIGLDAP/run/slapd.pid" slapd && [ -e "$BIGLDAP/filled" ] && bigldap_answers >/dev/null 2>&1; }

bigldap_up() {
  dpkg-query -W slapd >/dev/null 2>&1 || echo 'slapd slapd/no_configuration boolean true' | debconf-set-selections
  install_packages slapd slapd-contrib ldap-utils openssl || return 1
  stop_process "$BIGLDAP/run/slapd.pid" slapd
  mkdir -p "$BIGLDAP/run"
  [ -f "$LDAP/tls/wronghost.pem" ] || ldap_certificates || return 1
  chgrp openldap "$LDAP/tls/"*.key && chmod 640 "$LDAP/tls/"*.key
  bigldap_config >"$BIGLDAP/slapd.conf"
  [ -e "$BIGLDAP/filled" ] || bigldap_load || return 1
  chown -R openldap:openldap "$BIGLDAP/data" "$BIGLDAP/run"
  setsid /usr/sbin/slapd -u openldap -g openldap -f "$BIGLDAP/slapd.conf" -h 'ldap://127.0.0.1:3892/ ldaps://127.0.0.1:3893/' \
    </dev/null >"$BIGLDAP/run/out.log" 2>&1 9>&-
  wait_for 10 bigldap_answers || { tail -n 5 "$BIGLDAP/run/out.log"; return 1; }
}

bigldap_down() { stop_process "$BIGLDAP/run/slapd.pid" slapd; }

bigldap_load() {
  rm -rf "$BIGLDAP/data" && mkdir -p "$BIGLDAP/data" && /usr/bin/python3 "$LIB/lab/big_people.py" "$BIGLDAP/people.ldif" &&
    slapadd -q -f "$BIGLDAP/slapd.conf" -b dc=big,dc=test -l "$BIGLDAP/people.ldif" && rm "$BIGLDAP/people.ldif" && touch "$BIGLDAP/filled"
}

bigldap_config() {
  slapd_head "$BIGLDAP" back_mdb memberof
  cat <<CONF
loglevel none

database mdb
suffix "dc=big,dc=test"
directory $BIGLDAP/data
maxsize 2147483648
index objectClass,uid,uidNumber,gidNumber,memberUid,member,memberOf,cn eq
limits users size.soft=500 size.hard=1000 size.pr=1000 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by users read
overlay memberof
CONF
}
