#!/bin/sh
# Installs the service from the uploaded wheels, without a network, where its user can run but not change it. Leaves out
# what the service doesn't use: tests/images/test_provisioning.py says how large the image may be.
set -eu

# git reads templates out of repositories, over https or ssh; neither needs rights that its user lacks.
DEBIAN_FRONTEND=noninteractive dpkg --install --ignore-depends=git-man,liberror-perl,perl /tmp/debs/*.deb >/dev/null
rm -f /var/log/*.log /var/lib/dpkg/*-old /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /etc/*-

# Of both, what reads repositories: of git no servers, no mail, no merging, nothing in Perl, and its program once; of ssh
# no agent, no copying, no making of keys, and no keys on devices.
(
  cd /usr/lib/git-core
  rm -f git-daemon git-http-backend git-http-fetch git-http-push git-imap-send git-mergetool git-sh-i18n--envsubst
  rm -rf git-shell git-subtree mergetools scalar
  grep -lI '^#! */usr/bin/perl' ./* 2>/dev/null | xargs rm -f
  cmp git /usr/bin/git
  ln -sf ../../bin/git git
)
rm -rf /usr/share/gitweb /usr/share/git-core/contrib /usr/share/perl5/Git /usr/share/perl5/Git.pm /usr/lib/openssh
cd /usr/bin
rm -f git-shell scalar scp sftp ssh-add ssh-agent ssh-argv0 ssh-copy-id ssh-keygen ssh-keyscan
cd /

python3 -m venv --without-pip /opt/calvinverse
pip() {
  /opt/calvinverse/bin/python /tmp/pip --no-cache-dir --disable-pip-version-check --no-input "$@"
}
pip install --quiet --no-index --no-compile --find-links /tmp/wheels --require-hashes -r /tmp/requirements.lock
pip install --quiet --no-index --no-compile --no-deps /tmp/own/calvinverse-*.whl
pip check
# typer draws frames with rich if it is asked to, which our command line doesn't do, and Markdown is for the web page,
# which has an image of its own. Nothing else may miss these.
pip uninstall --quiet --yes --root-user-action ignore rich markdown-it-py mdurl pygments
missing=$(pip check 2>&1 | grep -vE '^(typer [^ ]* requires rich|calvinverse [^ ]* requires markdown-it-py), which' || true)
if [ -n "$missing" ]; then
  echo "Error: $missing" >&2
  exit 1
fi
find /opt/calvinverse/lib -type d \( -name tests -o -name testing \) -prune -exec rm -rf {} +
find /opt/calvinverse/lib -type f -regex '.*\.\(pyi\|pyx\|pxd\|c\|h\)' -delete

# OpenTofu, and a mirror of providers in the layout that it reads.
install -m 0755 /tmp/bin/* /usr/local/bin/
cp -R /tmp/providers /opt/providers
chmod -R u=rwX,go=rX /opt/providers
find /opt/providers -type f -exec chmod 0755 {} +

install -m 0644 /tmp/health.py /opt/calvinverse/health.py
ln -s /opt/calvinverse/bin/calvinverse /usr/local/bin/calvinverse
# Compiled once here: the user that runs it may not write.
/opt/calvinverse/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/calvinverse/lib
rm -rf /tmp/bin /tmp/providers /tmp/debs /tmp/wheels /tmp/own /tmp/pip /tmp/requirements.lock /tmp/health.py
