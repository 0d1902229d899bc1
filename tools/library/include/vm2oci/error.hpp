// The one thing that the library's functions throw, besides std::bad_alloc.
#pragma once

#include <vm2oci/export.hpp>

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::v0 {

enum class ErrorKind {
    io,          // the operating system, the disk or the network failed
    corrupt,     // the input breaks its own format
    unsupported, // the input is legal, and vm2oci cannot read it
    unsafe,      // the input asks for something an untrusted image may not have
    limit,       // the input is larger than a limit
    not_found,   // a thing that the caller named does not exist
    conflict,    // the destination holds something that may not be replaced
    usage,       // the request makes no sense
    external,    // a program or service that is needed failed
    cancelled,   // Cancellation::cancel()
};
VM2OCI_API std::string_view to_string(ErrorKind kind); // "not_found"

// What the caller could ask for instead, as a stable word, with what it is about. The fields of requests bear the same
// names or say the same thing: "allow-truncated" is SourceOptions::allow_truncated.
struct Hint {
    std::string kind;     // empty: there is none
    std::string argument; // such as the names of fixes; may be empty
};

class VM2OCI_API Error : public std::exception {
  public:
    Error(ErrorKind kind, std::string message, std::vector<std::string> context = {}, Hint hint = {});
    Error(const Error&);
    Error& operator=(const Error&);
    ~Error() override;

    ErrorKind kind() const noexcept { return kind_; }
    // One line, with every string from an image escaped.
    const std::string& message() const noexcept { return message_; }
    // Outermost first: what was being tried.
    const std::vector<std::string>& context() const noexcept { return context_; }
    const Hint& hint() const noexcept { return hint_; }
    // "context: context: message"
    const char* what() const noexcept override;

  private:
    ErrorKind kind_;
    std::string message_;
    std::vector<std::string> context_;
    Hint hint_;
    std::string text_;
};

} // namespace vm2oci::v0
