# SPDX-License-Identifier: GPL-2.0-or-later
# Completion for bash: vfntool knows its words.
eval "$(vfntool --completion)"
