#include "runner/judge/prompts.hpp"

#include "runner/judge/console_lines.hpp"
#include "runner/judge/rules.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace vm2oci {
namespace {

// Behind a host's name, or alone. In small letters: A to Z alone are folded.
constexpr std::string_view kLoginWords[] = {
    "login",              // English, Dutch, Polish, Danish and most others
    "anmeldung",          // German
    "anmelden",           //
    "identifiant",        // French
    "connexion",          //
    "inicio de sesión",   // Spanish
    "acceso",             //
    "accesso",            // Italian
    "autenticação",       // Portuguese
    "inloggning",         // Swedish
    "innlogging",         // Norwegian
    "kirjautuminen",      // Finnish
    "přihlášení",         // Czech
    "přihlašovací jméno", //
    "oturum açma",        // Turkish
    "вход",               // Russian
    "логин",              //
    "имя входа",          //
    "ログイン",           // Japanese
    "登录",               // Chinese
    "登錄",               //
    "登入",               //
    "로그인",             // Korean
};

// Only at the front of the line: elsewhere they are part of other questions.
constexpr std::string_view kUserWords[] = {
    "username",          "user name",    "user",           "benutzername",      "benutzer",
    "nom d'utilisateur", "utilisateur",  "usuario",        "usuário",           "nombre de usuario",
    "nome de usuário",   "nome utente",  "gebruikersnaam", "nazwa użytkownika", "uživatelské jméno",
    "имя пользователя",  "пользователь", "användarnamn",   "ユーザー名",        "用户名",
    "使用者名稱",        "사용자 이름"};

// What stands before "login:" in a sentence and is no host.
constexpr std::string_view kNoHosts[] = {
    "a",  "an", "the",   "your",   "last", "first",    "next", "this", "each",   "any", "failed",  "no", "at", "for",
    "to", "of", "after", "before", "with", "previous", "bad",  "new",  "remote", "via", "invalid", "on", "and"};

constexpr std::string_view kBlanks = " \t";

std::string folded(std::string_view text) {
    std::string small(text);
    std::transform(small.begin(), small.end(), small.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return small;
}

void trim_end(std::string_view& text) {
    while (!text.empty() && kBlanks.find(text.back()) != std::string_view::npos)
        text.remove_suffix(1);
}

// Takes ":", or the wide one of East Asia, and blanks around it off the end.
bool take_colon(std::string_view& text) {
    trim_end(text);
    for (const std::string_view colon : {std::string_view(":"), std::string_view("：")})
        if (text.ends_with(colon)) {
            text.remove_suffix(colon.size());
            trim_end(text);
            return true;
        }
    return false;
}

bool is_host_character(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
}

// "sshd[812]: …": of a service's log, not of a getty.
bool is_log_line(std::string_view text) {
    const std::size_t bracket = text.find('[');
    const std::size_t end = text.find("]: ");
    return bracket != std::string_view::npos && end != std::string_view::npos && bracket > 0 && bracket < end &&
           text.substr(0, bracket).find(' ') == std::string_view::npos &&
           text.substr(bracket + 1, end - bracket - 1).find_first_not_of("0123456789") == std::string_view::npos;
}

// What stands before the host's name: nothing, the name of a system, or an issue that did not end its line.
bool may_stand_before_host(std::string_view text, std::string_view host) {
    trim_end(text);
    if (text.empty() || std::count(text.begin(), text.end(), ' ') < 3)
        return true;
    if (std::string_view(".!?)]>}*#|=-~\"'").find(text.back()) != std::string_view::npos)
        return true;
    // "\S \n \l": the system, the host and its terminal.
    const std::string padded = " " + std::string(text) + " ";
    if (padded.find(" " + std::string(host) + " ") != std::string::npos)
        return true;
    const std::string_view last = text.substr(text.rfind(' ') + 1);
    for (const std::string_view terminal :
         {"tty", "ttyS", "ttyAMA", "hvc", "console", "pts/", "xvc", "ttyu", "ttysclp"})
        if (last.starts_with(terminal))
            return true;
    return false;
}

} // namespace

bool is_login_prompt(std::string_view unfinished_line) {
    std::string_view text = unfinished_line;
    if (has_kernel_prefix(text) || is_log_line(text) || !take_colon(text))
        return false;
    const std::string small = folded(text);
    for (const std::string_view word : kUserWords)
        if (small == word)
            return true;
    for (const std::string_view word : kLoginWords) {
        if (!small.ends_with(word))
            continue;
        std::string_view before = text.substr(0, text.size() - word.size());
        if (before.empty())
            return true;
        if (kBlanks.find(before.back()) == std::string_view::npos)
            continue;
        trim_end(before);
        const std::size_t blank = before.find_last_of(kBlanks);
        const std::string_view host = blank == std::string_view::npos ? before : before.substr(blank + 1);
        // "… reported. Login:" of a host that does not name itself.
        if (host.empty() || std::string_view(".!)>*#|").find(host.back()) != std::string_view::npos)
            return true;
        if (!std::all_of(host.begin(), host.end(), is_host_character) ||
            std::find(std::begin(kNoHosts), std::end(kNoHosts), folded(host)) != std::end(kNoHosts))
            return false;
        return may_stand_before_host(before.substr(0, before.size() - host.size()), host);
    }
    return false;
}

bool is_shell_prompt(std::string_view unfinished_line) {
    std::string_view text = unfinished_line;
    trim_end(text);
    if (text.size() < 2 || text.size() == unfinished_line.size() ||
        std::string_view("#$%").find(text.back()) == std::string_view::npos)
        return false;
    text.remove_suffix(1);
    if (text.starts_with("[") && text.ends_with("]")) // "[root@web ~]#"
        text = text.substr(1, text.size() - 2);
    trim_end(text);
    const std::size_t end = std::min(text.find_first_of(": "), text.size());
    const std::string_view who = text.substr(0, end);
    std::string_view where = text.substr(end);
    while (!where.empty() && (where.front() == ':' || where.front() == ' '))
        where.remove_prefix(1);
    const bool is_place = where.empty() || where.front() == '~' || where.front() == '/' ||
                          (where.find(' ') == std::string_view::npos && who.find('@') != std::string_view::npos);
    const auto is_name = [](std::string_view name) {
        return !name.empty() && std::all_of(name.begin(), name.end(), is_host_character);
    };
    const std::size_t at = who.find('@');
    if (at != std::string_view::npos)
        return is_place && is_name(who.substr(0, at)) && is_name(who.substr(at + 1));
    // "alpine:~#", "gentoo ~ #"; the initramfs has such prompts with no place but the root.
    return is_name(who) && who != "dracut" && who != "sh" && !where.empty() && where.front() == '~';
}

bool is_boot_menu(std::string_view line) {
    constexpr std::string_view kMenus[] = {"Use the * keys to select which entry is highlighted",
                                           "Press enter to boot the selected OS", "Press [Tab] to edit options",
                                           "Use the arrow keys to choose an option", "^Boot Menu:"};
    return std::any_of(std::begin(kMenus), std::end(kMenus),
                       [&](std::string_view menu) { return matches_pattern(menu, line); });
}

bool leaves_boot_menu(std::string_view line) {
    return matches_pattern("Booting `*'", line) || matches_pattern("Booting a command list", line);
}

bool asks_for_input(std::string_view unfinished_line) {
    std::string_view text = unfinished_line;
    if (has_kernel_prefix(text) || is_log_line(text) || text.starts_with("Last "))
        return false;
    trim_end(text);
    return text.size() > 1 && std::string_view(":?])>").find(text.back()) != std::string_view::npos;
}

} // namespace vm2oci
