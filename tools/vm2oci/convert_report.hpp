// What `vm2oci convert` and `inject` say of their results, for people and as JSON.
#pragma once

#include "tools/flows/convert.hpp"
#include "tools/vm2oci/command_table.hpp"

#include <nlohmann/json_fwd.hpp>

#include <iosfwd>
#include <variant>

namespace vm2oci::cli {

// To standard output; the command's exit code.
ExitCode report_conversion(const ConvertRequest& request, const ConvertResult& result, Invocation& call);

// Of what was made alone. The JSON has no edits, remarks and boot test yet.
nlohmann::ordered_json made_to_json(const ImageReport& made, const ConvertRequest& request);
nlohmann::ordered_json made_to_json(const RootfsImage& made, const ConvertRequest& request);
nlohmann::ordered_json made_to_json(const BundleResult& made, const ConvertRequest& request);
nlohmann::ordered_json made_to_json(const VmResult& made, const ConvertRequest& request);
nlohmann::ordered_json made_to_json(const PodmanMachineResult& made, const ConvertRequest& request);
nlohmann::ordered_json made_to_json(const KataReport& made, const ConvertRequest& request);
nlohmann::ordered_json made_to_json(const VirtletResult& made, const ConvertRequest& request);
nlohmann::ordered_json made_to_json(const PlainDiskResult& made, const ConvertRequest& request);
nlohmann::ordered_json made_to_json(const UnpackedBundle& made, const ConvertRequest& request);
nlohmann::ordered_json made_to_json(const std::monostate& made, const ConvertRequest& request);
void print_made(const ImageReport& made, const ConvertRequest& request, std::ostream& out);
void print_made(const RootfsImage& made, const ConvertRequest& request, std::ostream& out);
void print_made(const BundleResult& made, const ConvertRequest& request, std::ostream& out);
void print_made(const VmResult& made, const ConvertRequest& request, std::ostream& out);
void print_made(const PodmanMachineResult& made, const ConvertRequest& request, std::ostream& out);
void print_made(const KataReport& made, const ConvertRequest& request, std::ostream& out);
void print_made(const VirtletResult& made, const ConvertRequest& request, std::ostream& out);
void print_made(const PlainDiskResult& made, const ConvertRequest& request, std::ostream& out);
void print_made(const UnpackedBundle& made, const ConvertRequest& request, std::ostream& out);
void print_made(const std::monostate& made, const ConvertRequest& request, std::ostream& out);

nlohmann::ordered_json layer_to_json(const StoredLayer& layer);
nlohmann::ordered_json disk_to_json(const DiskReport& report);

} // namespace vm2oci::cli
