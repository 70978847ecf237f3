#!/bin/sh
# secrets.sh NAME: makes the secrets of the meta environment in OpenBao, and the first token of the person called NAME.
#
# OpenBao chooses the random bytes. The secrets go from one program to the other, and into no file and no command line. The
# token is written to calvinverse.token, which only you can read; the service is told its beginning and its hash, which
# token.vars.hcl holds. A secret that is there already stays.
set -eu

random() { # bytes, format
  bao write -force -field=random_bytes "sys/tools/random/$1" format="$2"
}

keep() { # step, key, value
  if bao kv metadata get -mount=secret "environments/meta/$1" >/dev/null 2>&1; then
    echo "secret/environments/meta/$1 is there already"
  else
    # Refused if there is one that this token can't see: whoever replaces the sealing key loses what it has sealed.
    printf %s "$3" | bao kv put -cas=0 -mount=secret "environments/meta/$1" "$2=-" >/dev/null
    echo "secret/environments/meta/$1 was made"
  fi
}

password=$(random 24 hex)
keep database-password password "$password"
# 32 bytes in base64 that is safe in URLs, without the sign at the end.
key=$(random 32 base64)
keep sealing-key key "$(printf %s "$key" | tr '+/' '-_' | tr -d =)"
secret=$(random 24 hex)
keep edge-secret secret "$secret"

if ! grep -qsx 'cv_[A-Za-z0-9_-]\{43\}' calvinverse.token; then
  bytes=$(random 32 base64)
  (umask 077 && printf 'cv_%s\n' "$(printf %s "$bytes" | tr '+/' '-_' | tr -d =)" >calvinverse.token)
fi
token=$(cat calvinverse.token)
hash=$(printf %s "$token" | sha256sum | cut -d ' ' -f 1)
cat >token.vars.hcl <<END
deployer       = "${1:?who are you}"
deployer_token = "$(printf %s "$token" | cut -c -12):$hash"
END
echo "Your token is in calvinverse.token; token.vars.hcl says its hash."
