#!/usr/bin/env bash
# The resources of every device kernel as a table, from what ptxas said while `make cuda` compiled (build/cuda/**.ptxas):
# build/cuda/ptxas.txt. Exits 1 and names the kernel when one exceeds scripts/ptxas.bounds.
#   smem         static shared memory; what a launch adds is not known to ptxas
#   threads      of __launch_bounds__
#   occupancy    share of an SM's 64 warps that registers, threads and static shared memory allow
set -uo pipefail
folder=${1:-build/cuda}
table=$folder/ptxas.txt
mapfile -t reports < <(find "$folder/cuda" -name '*.ptxas' 2>/dev/null | sort)
[ ${#reports[@]} -gt 0 ] || { echo "ptxas: no reports in $folder: run make cuda"; exit 1; }

# One line a kernel and architecture: file, architecture, mangled name, and numbers.
fields() {
  awk -v root="$folder/" '
    FNR == 1 { file = substr(FILENAME, length(root) + 1); sub(/ptxas$/, "cu", file) }
    $1 == "maxntid" { threads[file, $2] = $3 * ($4 ? $4 : 1) * ($5 ? $5 : 1); next }
    /Compiling entry function/ { split($0, part, "\047"); kernel = part[2]; arch = part[4] }
    /bytes stack frame/ { stack = $1; spills = $5 + $9 }
    /: Used [0-9]+ registers/ {
      smem = 0
      for (i = 2; i <= NF; ++i) { if ($i == "registers,") registers = $(i - 1); if ($i ~ /^smem/) smem = $(i - 2) }
      row[++rows] = file " " arch " " kernel " " registers " " smem " " stack " " spills
      of[rows] = file SUBSEP kernel
    }
    END { for (i = 1; i <= rows; ++i) print row[i], (of[i] in threads ? threads[of[i]] : 0) }' "${reports[@]}"
}

# forward_kernel<float> instead of lucida::(anonymous namespace)::forward_kernel<float>(long, float const*)
readable() { c++filt | sed -E 's/\(anonymous namespace\):://g; s/\(bool\)0/false/g; s/\(bool\)1/true/g; s/\([A-Za-z_: ]+\)(-?[0-9])/\1/g; s/[a-z_0-9]+:://g; s/void //; s/\(.*//; s/ //g'; }

paste -d ' ' <(fields) <(fields | cut -d ' ' -f 3 | readable) | awk '
  function least(a, b) { return a < b ? a : b }
  function up(a, unit) { return int((a + unit - 1) / unit) * unit }
  function resident(registers, smem, threads, arch,   warps, blocks) {  # warps on an SM
    warps = up(threads, 32) / 32
    blocks = least(32, int(64 / warps))
    blocks = least(blocks, int(int(65536 / up(registers * 32, 256) / 4) * 4 / warps))
    return warps * least(blocks, int((arch == "sm_90" ? 233472 : 167936) / up(smem + 1024, 128)))
  }
  BEGIN {
    while ((getline line < "scripts/ptxas.bounds") > 0)
      if (line !~ /^#/ && split(line, part) >= 3) {
        files[++bounds] = "^" part[1] "$"; kernels[bounds] = "^" part[2] "$"
        limits[bounds] = line; sub(/^[^ ]+ +[^ ]+ +/, "", limits[bounds])
      }
    form = "%-36s %-6s %9s %7s %6s %7s %8s %10s  %s\n"
    printf form, "file", "arch", "registers", "smem", "stack", "spills", "threads", "occupancy", "kernel"
  }
  {
    value["registers"] = $4; value["stack"] = $6; value["spills"] = $7
    value["warps"] = $8 ? resident($4, $5, $8, $2) : 64
    printf form, $1, $2, $4, $5, $6, $7, $8 ? $8 : "-", $8 ? sprintf("%.0f %%", value["warps"] / 0.64) : "-", $9
    rule = ""
    for (b = 1; b <= bounds; ++b) if ($1 ~ files[b] && $9 ~ kernels[b]) rule = limits[b]
    n = split(rule, limit)
    for (i = 1; i <= n; ++i)
      if (split(limit[i], pair, "=") == 2 && (pair[1] == "warps" ? value["warps"] < pair[2] : value[pair[1]] > pair[2]))
        print "ptxas: " $9 " in " $1 " for " $2 ": " value[pair[1]] " " pair[1] ", " pair[2] \
          (pair[1] == "warps" ? " are needed" : " are allowed") > "/dev/stderr"
  }' >"$table" 2>"$table.breaches"
cat "$table.breaches" >&2
echo "ptxas: $(($(wc -l <"$table") - 1)) kernels, each for sm_80 and sm_90 counted, in $table; $(wc -l <"$table.breaches") breaches of scripts/ptxas.bounds"
[ ! -s "$table.breaches" ]
