// What happens at a refusal: opening a disk stops; examining one remembers the first and tells what can still be told.
#pragma once

#include "formats/base/error.hpp"

#include <exception>

namespace vm2oci {

// Whether the image is to blame, and not the machine or the command line.
bool is_refusal(const Error& error);

enum class OnRefusal { stop, go_on };

class Refusals {
  public:
    explicit Refusals(OnRefusal mode) : mode_(mode) {}

    // False if it was refused and there is more to do.
    template <class Step>
    bool attempt(Step&& step) {
        try {
            step();
            return true;
        } catch (const Error& error) {
            if (mode_ == OnRefusal::stop || !is_refusal(error))
                throw;
            if (!first_)
                first_ = std::current_exception();
            return false;
        }
    }
    void rethrow_first() const {
        if (first_)
            std::rethrow_exception(first_);
    }

  private:
    OnRefusal mode_;
    std::exception_ptr first_;
};

} // namespace vm2oci
