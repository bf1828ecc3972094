# OpenLDAP on loopback: ldap://127.0.0.1:3890 (StartTLS) and ldaps://127.0.0.1:3891. Sourced, never run.

LDAP=$BASE/ldap
LDAP_ROOT=(-x -H ldaps://127.0.0.1:3891 -D cn=root,dc=cm,dc=cluster -w root-secret)

ldap_about() { echo "ldap://127.0.0.1:3890 (StartTLS), ldaps://127.0.0.1:3891, CA $LDAP/tls/ca.pem"; }
ldap_answers() { LDAPTLS_CACERT=$LDAP/tls/ca.pem ldapwhoami "${LDAP_ROOT[@]}" </dev/null; }
ldap_is_up() { is_alive "$LDAP/run/slapd.pid" slapd && [ -e "$LDAP/filled" ] && ldap_answers >/dev/null 2>&1; }

ldap_up() {
  # no_configuration: the package makes no directory of its own
  dpkg-query -W slapd >/dev/null 2>&1 || echo 'slapd slapd/no_configuration boolean true' | debconf-set-selections
  install_packages slapd slapd-contrib ldap-utils openssl || return 1
  mkdir -p "$LDAP/run"
  stop_process "$LDAP/run/slapd.pid" slapd
  [ -f "$LDAP/tls/wronghost.pem" ] || ldap_certificates || return 1
  ldap_config >"$LDAP/slapd.conf"
  [ -e "$LDAP/filled" ] || ldap_load || return 1
  chown -R openldap:openldap "$LDAP/data" "$LDAP/run"
  chgrp openldap "$LDAP/tls/"*.key && chmod 640 "$LDAP/tls/"*.key
  setsid /usr/sbin/slapd -u openldap -g openldap -f "$LDAP/slapd.conf" -h 'ldap://127.0.0.1:3890/ ldaps://127.0.0.1:3891/' \
    </dev/null >"$LDAP/run/out.log" 2>&1 9>&-
  wait_for 10 ldap_answers || { tail -n 5 "$LDAP/run/out.log"; return 1; }
  [ -e "$LDAP/filled" ] || ldap_fill || return 1
  add_unix_people
}

ldap_down() { stop_process "$LDAP/run/slapd.pid" slapd; }

ldap_load() {
  rm -rf "$LDAP/data" && mkdir -p "$LDAP/data" && /usr/bin/python3 "$LIB/lab/people.py" ldif "$LDAP" &&
    slapadd -q -f "$LDAP/slapd.conf" -b dc=cm,dc=cluster -l "$LDAP/people.ldif"
}

ldap_fill() {
  local file
  for file in groups otp; do
    LDAPTLS_CACERT=$LDAP/tls/ca.pem ldapmodify -a "${LDAP_ROOT[@]}" -f "$LDAP/$file.ldif" >/dev/null || return 1
  done
  touch "$LDAP/filled"
}

# certificate NAME COMMON_NAME ALTERNATIVE_NAMES
certificate() {
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null &&
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -out "$1.pem" \
      -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$3") 2>/dev/null
}

ldap_certificates() (
  mkdir -p "$LDAP/tls" && cd "$LDAP/tls" &&
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=Lab CA' -keyout ca.key -out ca.pem \
      -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null &&
    certificate server ldap.test 'DNS:localhost,DNS:ldap.test,IP:127.0.0.1' && certificate wronghost other.test DNS:other.test
)

# slapd_head FOLDER MODULE...: how each of our directories begins
slapd_head() {
  local folder=$1 name
  shift
  for name in core cosine inetorgperson nis; do echo "include /etc/ldap/schema/$name.schema"; done
  echo 'modulepath /usr/lib/ldap'
  for name; do echo "moduleload $name"; done
  cat <<CONF
pidfile $folder/run/slapd.pid
argsfile $folder/run/slapd.args
TLSCACertificateFile $LDAP/tls/ca.pem
TLSCertificateFile $LDAP/tls/server.pem
TLSCertificateKeyFile $LDAP/tls/server.key
TLSVerifyClient never
disallow bind_anon
# a bind in clear text is refused: who forgets TLS learns it at once
security simple_bind=128
CONF
}

ldap_config() {
  local services=ou=services,dc=cm,dc=cluster
  slapd_head "$LDAP" back_mdb memberof refint ppolicy otp unique argon2
  cat <<CONF
loglevel stats
sizelimit 500

database mdb
suffix "dc=cm,dc=cluster"
rootdn "cn=root,dc=cm,dc=cluster"
rootpw root-secret
directory $LDAP/data
maxsize 268435456
index objectClass,uid,uidNumber,gidNumber,memberUid,member,memberOf,entryUUID eq
index cn,sn,mail eq,sub
access to attrs=userPassword by self =wx by dn.exact="cn=pwadmin,$services" write by anonymous auth by * none
access to attrs=oathSecret by dn.exact="cn=pwadmin,$services" write by * none
access to attrs=pwdReset,pwdAccountLockedTime,pwdFailureTime by dn.exact="cn=pwadmin,$services" write by dn.exact="cn=hub,$services" read by * none
access to * by dn.exact="cn=pwadmin,$services" write by dn.exact="cn=hub,$services" read by self read by users read by anonymous auth by * none
overlay memberof
memberof-group-oc groupOfNames
memberof-member-ad member
memberof-memberof-ad memberOf
overlay refint
refint_attributes member owner memberOf
overlay unique
unique_uri ldap:///ou=people,dc=cm,dc=cluster?uid,uidNumber?sub
# an overlay listed later runs earlier: otp peels the code off, then ppolicy sees the password
overlay ppolicy
ppolicy_default "cn=default,ou=policies,dc=cm,dc=cluster"
ppolicy_use_lockout
ppolicy_hash_cleartext
overlay otp
CONF
}
