# PAM services for one-time passwords: /etc/pam.d/backendai-lab-*. Sourced, never run. Who has which key the tests write themselves.

PAM=$BASE/pam
PAM_SERVICES=(code password slow closed)

pam_about() { echo "services ${PAM_SERVICES[*]/#/backendai-lab-}, keys in $PAM/users"; }
pam_is_up() {
  local name
  for name in "${PAM_SERVICES[@]}"; do [ -s "/etc/pam.d/backendai-lab-$name" ] || return 1; done
  [ -z "$(missing_packages libpam-oath)" ] && [ -x "$PAM/check-password" ]
}

pam_up() {
  install_packages libpam-oath || return 1
  mkdir -p "$PAM" && chmod 700 "$PAM"
  # the lab's passwords, without accounts that anybody could log in to
  printf '#!/bin/sh\n[ "$(tr -d "\\000")" = "Pa55w0rd!$PAM_USER" ]\n' >"$PAM/check-password" && chmod 700 "$PAM/check-password"
  local oath="pam_oath.so usersfile=$PAM/users window=2 digits=6" name
  for name in "${PAM_SERVICES[@]}"; do
    {
      echo "# of $BASE; script/lab down pam removes it"
      case $name in
        code) echo "auth requisite $oath" ;;
        password) printf '%s\n' "auth requisite pam_exec.so quiet expose_authtok $PAM/check-password" "auth requisite $oath" ;;
        slow) echo 'auth requisite pam_exec.so quiet /bin/sleep 60' ;;
        closed) echo 'auth required pam_permit.so' ;;
      esac
      if [ "$name" = closed ]; then echo 'account required pam_deny.so'; else echo 'account required pam_permit.so'; fi
    } >"/etc/pam.d/backendai-lab-$name"
  done
}

pam_down() { rm -f "${PAM_SERVICES[@]/#//etc/pam.d/backendai-lab-}"; }
