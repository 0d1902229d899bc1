// The images of a corpus archive, in memory: for tests that may not run a process.
#pragma once

#include "tests/support/memory_device.hpp"

#include <memory>
#include <string>
#include <vector>

namespace vm2oci::test {

struct CorpusRow {
    std::string file;
    std::string kind;
    std::string expect;
    std::string detail;
    std::string why;
};

class Corpus {
  public:
    // Unpacks a tar of sparse images beside one MANIFEST.tsv (file, kind, expect, detail, why). Throws on any defect.
    explicit Corpus(const std::string& archive_path);

    // Never empty: a manifest without rows of the kind is an error, so that a test cannot pass by testing nothing.
    std::vector<CorpusRow> rows(const std::string& kind) const;
    std::shared_ptr<const MemoryDevice> open(const std::string& file) const;

  private:
    std::vector<CorpusRow> rows_;
    std::map<std::string, std::shared_ptr<const MemoryDevice>> files_;
};

} // namespace vm2oci::test
