# normalise.sh TREE EPOCH INIT: the same tree from the same packages, whenever and wherever it was built.
set -eu
cd "$1"
epoch=$2

# A folder that is a link may lead anywhere; then it is left alone.
empty() {
  local folder
  for folder; do
    if [ -d "$folder" ] && [ ! -L "$folder" ]; then find "$folder" -mindepth 1 -delete; fi
  done
}
is_plain() { [ -f "$1" ] && [ ! -L "$1" ]; }

# What names one machine, or is the same secret in all of them.
rm -f etc/hostname etc/resolv.conf var/lib/dbus/machine-id var/lib/systemd/random-seed var/lib/urandom/random-seed
rm -f etc/ssh/ssh_host_*_key etc/ssh/ssh_host_*_key.pub
# What installing left behind, with its time in it.
rm -f etc/passwd- etc/group- etc/shadow- etc/gshadow- etc/subuid- etc/subgid- etc/.pwd.lock
rm -f var/lib/dpkg/*-old var/cache/debconf/*-old var/lib/dpkg/lock var/lib/dpkg/lock-frontend var/lib/dpkg/triggers/Lock
rm -f var/cache/apt/*.bin var/cache/ldconfig/aux-cache var/lib/apt/lists/lock var/cache/apt/archives/lock
rm -f var/log/alternatives.log var/log/dpkg.log var/log/bootstrap.log var/log/faillog var/log/lastlog var/log/apt/*
empty tmp var/tmp run var/lib/apt/lists var/cache/apt/archives
# An empty one is filled in at each start; a distribution's own init would take a missing one for its first start.
if [ -d etc ] && [ ! -L etc ] && { [ -e etc/machine-id ] || [ -d var/lib/dpkg ]; }; then
  rm -f etc/machine-id
  : > etc/machine-id
  chmod 444 etc/machine-id
fi
# The day on which a password was last changed is that of the build, where nobody has set one.
for file in etc/shadow; do
  if is_plain "$file"; then
    awk -F: -v OFS=: -v day=$((epoch / 86400)) 'NF > 2 && $3 > day { $3 = day } { print }' "$file" > ../shadow
    cat ../shadow > "$file"
    rm ../shadow
  fi
done

# Bytecode names the time of its source: where that is to change, the bytecode follows.
find . -xdev -type f -name '*.pyc' -print0 | perl -0 -ne '
  BEGIN { $epoch = shift @ARGV; }
  chomp;
  open my $file, "+<:raw", $_ or next;
  next unless read($file, my $head, 16) == 16;
  my ($magic, $flags, $time) = unpack "VVV", $head;
  next unless $flags == 0 && $time > $epoch;
  seek $file, 8, 0;
  print $file pack "V", $epoch;
' "$epoch"
find . -xdev -newermt "@$epoch" -exec touch --no-dereference --date="@$epoch" {} +
