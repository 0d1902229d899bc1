// What stands on the last line of a console when somebody is expected to type.
#pragma once

#include <string_view>

namespace vm2oci {

// A login prompt at the end of a line that has not ended yet: "debian login: ", "Username: ", "web Anmeldung: ", also
// behind an issue without an end of line.
bool is_login_prompt(std::string_view unfinished_line);

// A shell that waits behind an automatic login: "root@web:~# ", "[core@node ~]$ ", "alpine:~# ".
bool is_shell_prompt(std::string_view unfinished_line);

// Part of the menu of GRUB or SYSLINUX, which stays until somebody chooses if it has no time limit.
bool is_boot_menu(std::string_view line);

// What GRUB prints when an entry of its menu is started (grub-core/normal/menu.c).
bool leaves_boot_menu(std::string_view line);

// A question, or what else ends as one: "Choose an option: ", "Proceed? [y/N] ".
bool asks_for_input(std::string_view unfinished_line);

} // namespace vm2oci
