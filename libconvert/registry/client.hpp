// Requests to one repository of one registry: credentials, redirects, retries.
#pragma once

#include "libconvert/registry/authenticator.hpp"
#include "libconvert/registry/retry.hpp"
#include "libconvert/registry/upload_habits.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace vm2oci::registry {

enum class Access { pull, push };
enum class Repeat { freely, never }; // whether the request may reach the server more than once after a fault

struct Call {
    HttpRequest request;
    Access access = Access::pull;
    Repeat repeat = Repeat::freely;
    std::string other_repository; // that the token must let us pull from, too
};

// What an answer came from: where redirects led.
struct Answer {
    HttpResponse response;
    Url url;
};

inline constexpr unsigned kMaxRedirects = 10;

// Thread-safe.
class RegistryClient {
  public:
    // What a client works with; unit tests give their own.
    struct Parts {
        std::unique_ptr<HttpTransport> transport;
        std::unique_ptr<Clock> clock;
        std::unique_ptr<CredentialSource> credentials;
    };

    RegistryClient(RegistryIdentity identity, Parts parts);

    const RegistryIdentity& identity() const { return identity_; }
    std::string host() const { return identity_.base.host_and_port(); }
    PatientTransport& transport() { return patient_; }
    UploadHabits& upload_habits() { return upload_habits_; }

    // BASE/v2/REPOSITORY/`rest`
    Url url(std::string_view rest) const;

    // Returns whatever the registry answers in the end; a 401 only after fresh credentials were refused, a redirect
    // only when there is no Location. Credentials are sent to the registry's own origin alone. NetworkError;
    // Error{unsafe} for a redirect from https to http.
    Answer call(Call call);

    // GET /v2/: is it a registry, and how does it want to be spoken to? Error{external} if it is none.
    void ping();

  private:
    Scope scope_of(const Call& call) const;
    HttpResponse perform(const Call& call);
    HttpResponse perform_authorised(const Call& call);

    RegistryIdentity identity_;
    Parts parts_;
    PatientTransport patient_;
    Authenticator authenticator_;
    UploadHabits upload_habits_;
};

} // namespace vm2oci::registry
