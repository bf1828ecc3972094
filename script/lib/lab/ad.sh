# An Active Directory (Samba) of one machine, its LDAP only: ldap://127.0.0.2:389 (StartTLS), ldaps://127.0.0.2:636. Sourced, never run.
# Its ports cannot be chosen, hence the address of its own. The certificate is that of the lab's ldap (ldap.test).

AD=$BASE/ad
AD_ADMIN=Adm1n-Pass!x

ad_about() { echo "ldaps://127.0.0.2:636 (ldap.test), CA $LDAP/tls/ca.pem"; }
ad_answers() {
  local service=(-x -H ldaps://127.0.0.2 -D hub@ad.example -w Hub-Secret1)
  LDAPTLS_CACERT=$LDAP/tls/ca.pem LDAPTLS_REQCERT=allow ldapsearch "${service[@]}" -s base -b dc=ad,dc=example dn </dev/null
}
ad_is_up() { is_alive "$AD/run/samba.pid" samba && [ -e "$AD/filled" ] && ad_answers >/dev/null 2>&1; }

ad_up() {
  install_packages samba samba-ad-dc samba-ad-provision samba-dsdb-modules ldap-utils openssl || return 1
  stop_process "$AD/run/samba.pid" samba
  [ -f "$LDAP/tls/wronghost.pem" ] || ldap_certificates || return 1
  [ -e "$AD/filled" ] || ad_make || return 1
  mkdir -p "$AD/run" "$AD/tls"
  install -m 600 "$LDAP/tls/server.key" "$AD/tls/server.key" # Samba takes no key that others may read
  setsid /usr/sbin/samba -D --configfile="$AD/etc/smb.conf" --option='server services = ldap' --option='bind interfaces only = yes' \
    --option='interfaces = 127.0.0.2/8' --option="pid directory = $AD/run" --option="log file = $AD/run/log" \
    --option="tls cafile = $LDAP/tls/ca.pem" --option="tls certfile = $LDAP/tls/server.pem" --option="tls keyfile = $AD/tls/server.key" \
    </dev/null >"$AD/run/out.log" 2>&1 9>&-
  wait_for 20 ad_answers || { cat "$AD/run/out.log" "$AD/run/log" 2>/dev/null | tail -n 8; return 1; }
}

ad_down() { stop_process "$AD/run/samba.pid" samba; }

ad_make() {
  local database=$AD/private/sam.ldb settings
  rm -rf "$AD" && mkdir -p "$AD"
  quietly samba-tool domain provision --targetdir="$AD" --realm=AD.EXAMPLE --domain=AD --server-role=dc --dns-backend=NONE \
    --host-name=dc1 --adminpass="$AD_ADMIN" || return 1
  settings=(--min-pwd-age=0 --history-length=0 --account-lockout-threshold=0)
  quietly samba-tool domain passwordsettings set "${settings[@]}" -H "$database" --configfile="$AD/etc/smb.conf" &&
    quietly /usr/bin/python3 "$LIB/lab/ad_people.py" "$AD/etc/smb.conf" "$database" && touch "$AD/filled"
}
