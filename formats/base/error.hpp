// The one error type of vm2oci.
//
// Everything that fails throws Error. Expected absence is std::optional, never an Error. There is one catch, in the
// tool's main; nothing throws through a C callback (keep the exception_ptr and rethrow after the call returns).
#pragma once

#include "formats/base/hint.hpp"

#include <exception>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci {

enum class ErrorKind {
    io,          // the operating system, the disk or the network failed
    corrupt,     // the input breaks its own format
    unsupported, // the input is legal, and we cannot read it
    unsafe,      // the input asks for something an untrusted image may not have
    limit,       // the input is larger than a named limit
    not_found,   // a thing that the caller named does not exist
    conflict,    // the destination holds something that we may not replace
    usage,       // the command line or a parameter is wrong
    external,    // a tool or service that we need failed
    cancelled,   // the user stopped it
};

// The kind as a stable word for JSON ("corrupt").
std::string_view to_string(ErrorKind kind);

// Message and context are one line each. Every string that came from an image must have gone through
// escape_untrusted() (formats/base/escape.hpp) before it gets here.
class Error : public std::exception {
  public:
    Error(ErrorKind kind, std::string message, std::source_location where = std::source_location::current());
    Error(ErrorKind kind, std::string message, Hint hint, std::source_location where = std::source_location::current());

    ErrorKind kind() const noexcept { return kind_; }
    // What happened, without context, and what to do unless a hint says it.
    const std::string& message() const noexcept { return message_; }
    // Outermost first: what was being tried.
    const std::vector<std::string>& context() const noexcept { return context_; }
    const Hint& hint() const noexcept { return hint_; }
    const std::source_location& where() const noexcept { return where_; }
    // "context: context: message"
    const char* what() const noexcept override { return text_.c_str(); }

    // Adds an outer context ("reading disk.qcow2"). Call on the way up, then rethrow with `throw;`.
    void add_context(std::string outer);
    // A hint for an error that has none yet; likewise.
    void suggest(Hint hint);
    // What the hint is about, for one of that kind whose thrower could not know it; likewise.
    void complete_hint(HintKind kind, const std::string& argument);

  private:
    void rebuild_text();

    ErrorKind kind_;
    std::string message_;
    std::vector<std::string> context_;
    Hint hint_;
    std::source_location where_;
    std::string text_;
};

// Throws Error.
[[noreturn]] void fail(ErrorKind kind, std::string message,
                       std::source_location where = std::source_location::current());

[[noreturn]] void fail(ErrorKind kind, std::string message, Hint hint,
                       std::source_location where = std::source_location::current());

// Throws Error{io} with strerror(error_number) behind the text ("cannot open x: No such file or directory").
// ENOENT becomes not_found, so that callers can tell "absent" from "broken".
[[noreturn]] void fail_errno(const std::string& what, int error_number,
                             std::source_location where = std::source_location::current());

// Runs `body`; an Error that leaves it gets `context` in front.
template <class Body>
decltype(auto) with_context(std::string context, Body&& body) {
    try {
        return std::forward<Body>(body)();
    } catch (Error& error) {
        error.add_context(std::move(context));
        throw;
    }
}

// The same with a hint, for an Error that has none.
template <class Body>
decltype(auto) with_hint(Hint hint, Body&& body) {
    try {
        return std::forward<Body>(body)();
    } catch (Error& error) {
        error.suggest(std::move(hint));
        throw;
    }
}

} // namespace vm2oci
