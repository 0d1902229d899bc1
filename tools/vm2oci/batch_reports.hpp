// What a batch writes besides its images: a JUnit file, a page, and where the only machine of a share is.
#pragma once

#include "formats/base/outputs.hpp"
#include "tools/batch/run.hpp"
#include "tools/vm2oci/batch_options.hpp"

namespace vm2oci::cli {

// Opened before work begins, so that a path that cannot be had stops the command in time.
class BatchReports {
  public:
    BatchReports(const BatchArguments& arguments, const OperationContext& operation);

    // All of them appear, or none does.
    void write(const BatchResult& result);

  private:
    Outputs outputs_;
    Outputs::Document* junit_ = nullptr;
    Outputs::Document* page_ = nullptr;
    Outputs::Document* digest_ = nullptr;
    Outputs::Document* destination_ = nullptr;
};

} // namespace vm2oci::cli
