#include "tools/vm2oci/page.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci::cli;

TEST_CASE("values stand in one column, headings apart") {
    Page page;
    page.heading("disk.qcow2");
    page.row("format", "qcow2");
    page.row_unless_empty("features", "");
    page.row("virtual size", "10 GiB");
    page.heading("guest");
    page.line("Debian");
    CHECK(page.text() == "disk.qcow2\n"
                         "  format        qcow2\n"
                         "  virtual size  10 GiB\n"
                         "\n"
                         "guest\n"
                         "  Debian\n");
}
