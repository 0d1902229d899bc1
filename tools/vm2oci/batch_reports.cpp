#include "tools/vm2oci/batch_reports.hpp"

#include "tools/batch/junit.hpp"
#include "tools/batch/page.hpp"

#include <string>
#include <string_view>

namespace vm2oci::cli {

BatchReports::BatchReports(const BatchArguments& arguments, const OperationContext& operation) : outputs_(operation) {
    const auto add = [&](const std::string& path) { return path.empty() ? nullptr : &outputs_.add_document(path); };
    junit_ = add(arguments.junit);
    page_ = add(arguments.report);
    digest_ = add(arguments.digest_file);
    destination_ = add(arguments.destination_file);
}

void BatchReports::write(const BatchResult& result) {
    if (junit_ != nullptr)
        junit_->content = batch_junit(result);
    if (page_ != nullptr)
        page_->content = batch_page(result);
    if (result.all_good() && !result.items.empty()) {
        constexpr std::string_view kScheme = "docker://";
        const ItemResult& only = result.items.front();
        if (digest_ != nullptr)
            digest_->content = only.digest;
        if (destination_ != nullptr)
            destination_->content =
                only.destination.starts_with(kScheme) ? only.destination.substr(kScheme.size()) : only.destination;
    }
    outputs_.write();
    outputs_.commit();
}

} // namespace vm2oci::cli
