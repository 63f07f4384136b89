#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vfntool bench and lat, beside the kernel's driver. BENCH_ARGS in the environment has options of a longer one, whose picture is printed.
. /vfn/tap.sh

oracle=$(block_of "$BDF_B" 1)
bench="vfntool bench $BDF_A/1 --rw randread,randwrite --threads 1 --iodepth 1,8 --runtime 1 --kernel $oracle --force --csv /tmp/csv --plot /tmp/svg"

check 'E20: bench' $bench
same 'E20: each load by both drivers' "$(grep -Ec '^(vfn|kernel),rand(read|write),1,[18],4096,[1-9]' /tmp/csv)" 8
same 'E20: a header, and no empty cells' "$(awk -F, 'NF == 12 { n++ } /,,|,$/ { n = -99 } END { print n }' /tmp/csv)" 9
sum=$(sha256sum </tmp/csv)
check 'E20: once more' $bench
same 'E20: nothing is added' "$(sha256sum </tmp/csv)" "$sum"
says 'it was there' '\(was there\)'
check 'a picture' grep -q '</svg>' /tmp/svg
check 'lat' vfntool lat "$BDF_A/1" --runtime 1 --iodepth 4
says 'percentiles' '99.9 % within +[0-9.]+ us'

if [ -n "$BENCH_ARGS" ]; then
	check 'a longer one' vfntool bench "$BDF_A/1" --kernel "$oracle" --force --plot /tmp/svg $BENCH_ARGS
	sed 's/^/# svg: /' /tmp/svg
fi
rm -f /tmp/csv /tmp/svg
finish
