// A batch on standard error: a live table on a terminal, lines elsewhere, JSON lines where they are asked for.
#pragma once

#include "tools/batch/run.hpp"
#include "tools/vm2oci/progress_display.hpp"

#include <chrono>
#include <iosfwd>
#include <string>

namespace vm2oci::cli {

class BatchDisplay final : public BatchWatcher {
  public:
    // `machines`: how many there are.
    BatchDisplay(std::ostream& err, ProgressMode mode, Verbosity verbosity, std::size_t machines);
    ~BatchDisplay() override;

    void changed(const ItemResult& item) override;
    void running(const std::vector<std::pair<const BatchItem*, ItemProgress>>& items) override;

  private:
    using Clock = std::chrono::steady_clock;
    void clear_table();

    std::ostream& err_;
    ProgressMode mode_;
    std::size_t machines_;
    std::size_t ended_ = 0;
    std::size_t table_lines_ = 0; // on the terminal now
    Clock::time_point last_{};
};

// One line for one machine: "web01  done  1.2 GiB → 310 MiB  42 s".
std::string item_line(const ItemResult& item);

} // namespace vm2oci::cli
