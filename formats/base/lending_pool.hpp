// Things that are dear to make and that one thread uses at a time, lent to many.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace vm2oci {

// Thread-safe. Makes a new thing when all are lent; keeps as many as were ever lent at once.
template <class Thing>
class LendingPool {
  public:
    explicit LendingPool(std::function<Thing()> make) : make_(std::move(make)) {}

    class Lease {
      public:
        Lease(LendingPool& pool, Thing thing) : pool_(pool), thing_(std::move(thing)) {}
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        ~Lease() {
            const std::lock_guard lock(pool_.mutex_);
            pool_.idle_.push_back(std::move(thing_));
        }
        Thing& operator*() { return thing_; }
        Thing* operator->() { return &thing_; }

      private:
        LendingPool& pool_;
        Thing thing_;
    };

    Lease lease() {
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                Thing thing = std::move(idle_.back());
                idle_.pop_back();
                return {*this, std::move(thing)};
            }
        }
        return {*this, make_()};
    }

  private:
    std::function<Thing()> make_;
    std::mutex mutex_; // guards idle_
    std::vector<Thing> idle_;
};

} // namespace vm2oci
