#include "formats/base/escape.hpp"
#include "libconvert/inspect/guest_info.hpp"

#include <nlohmann/json.hpp>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

std::string safe(const std::string& text) {
    return escape_untrusted(text);
}

Json safe_list(const std::vector<std::string>& texts) {
    Json list = Json::array();
    for (const std::string& text : texts)
        list.push_back(safe(text));
    return list;
}

Json text_or_null(const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(safe(text));
}

template <class Items, class Convert>
Json list_of(const Items& items, Convert&& convert) {
    Json list = Json::array();
    for (const auto& item : items)
        list.push_back(convert(item));
    return list;
}

Json kernel_to_json(const KernelInfo& kernel) {
    Json json = {{"version", safe(kernel.version)},
                 {"path", safe(kernel.path)},
                 {"size", kernel.size},
                 {"architecture", text_or_null(kernel.architecture)},
                 {"has_modules", kernel.has_modules},
                 {"boots_on_virtio", nullptr}};
    if (kernel.boots_on_virtio)
        json["boots_on_virtio"] = *kernel.boots_on_virtio;
    json["drivers"] = Json::object();
    for (const DriverInfo& driver : kernel.drivers)
        json["drivers"][driver.name] = to_string(driver.place);
    json["initrd"] = nullptr;
    if (kernel.initrd)
        json["initrd"] = {{"path", safe(kernel.initrd->path)},
                          {"size", kernel.initrd->size},
                          {"compression", text_or_null(kernel.initrd->compression)},
                          {"files", kernel.initrd->files},
                          {"problem", text_or_null(kernel.initrd->problem)}};
    return json;
}

Json boot_to_json(const BootInfo& boot) {
    return {{"bios", boot.bios},
            {"uefi", boot.uefi},
            {"loader", text_or_null(boot.loader)},
            {"efi_fallback", text_or_null(boot.efi_fallback)},
            {"efi_programs", list_of(boot.efi_programs,
                                     [](const EfiProgram& program) {
                                         Json json = {{"path", safe(program.path)}, {"signed", nullptr}};
                                         if (program.is_signed)
                                             json["signed"] = *program.is_signed;
                                         return json;
                                     })},
            {"command_lines", safe_list(boot.command_lines)},
            {"serial_consoles", safe_list(boot.serial_consoles)}};
}

Json cloud_init_to_json(const CloudInitInfo& info) {
    return {{"installed", info.installed},
            {"version", text_or_null(info.version)},
            {"disabled", info.disabled},
            {"network_disabled", info.network_disabled},
            {"datasources", safe_list(info.datasources)},
            {"datasource_file", text_or_null(info.datasource_file)},
            {"instances", safe_list(info.instances)},
            {"has_seed", info.has_seed}};
}

Json partition_to_json(const Partition& partition) {
    constexpr std::string_view kRoles[] = {"primary", "extended", "logical"};
    return {{"number", partition.number},
            {"offset", partition.offset},
            {"size", partition.length},
            {"role", kRoles[static_cast<std::size_t>(partition.role)]},
            {"type", partition.type},
            {"type_name", text_or_null(partition.type_name)},
            {"name", text_or_null(partition.name)},
            {"uuid", partition.uuid},
            {"active", partition.active}};
}

Json volume_to_json(const Volume& volume) {
    Json json = {{"name", safe(volume.name)}, {"disk", nullptr}, {"size", volume.device->size()}, {"content", nullptr}};
    if (lies_on_disk(volume))
        json["disk"] = volume.disk + 1;
    if (volume.signature)
        json["content"] = {{"kind", to_string(volume.signature->kind)},
                           {"type", volume.signature->type},
                           {"version", text_or_null(volume.signature->version)},
                           {"uuid", text_or_null(volume.signature->uuid)},
                           {"label", text_or_null(volume.signature->label)}};
    return json;
}

Json mount_to_json(const GuestMount& mount) {
    Json json = {{"mount_point", safe(mount.mount_point)},
                 {"volume", safe(mount.volume)},
                 {"type", mount.type},
                 {"uuid", text_or_null(mount.uuid)},
                 {"label", text_or_null(mount.label)}};
    if (!mount.subvolume.empty())
        json["subvolume"] = safe(mount.subvolume);
    if (mount.usage) {
        json["size"] = mount.usage->total_bytes;
        json["free"] = mount.usage->free_bytes;
        json["inodes"] = mount.usage->total_inodes;
        json["free_inodes"] = mount.usage->free_inodes;
    }
    return json;
}

} // namespace

Json to_json(const GuestInfo& info) {
    Json json;
    json["os"] = {{"type", info.os.type},
                  {"distribution", text_or_null(info.os.distribution)},
                  {"family", text_or_null(info.os.family)},
                  {"product", text_or_null(info.os.product)},
                  {"version", text_or_null(info.os.version)},
                  {"codename", text_or_null(info.os.codename)},
                  {"architecture", text_or_null(info.os.architecture)},
                  {"hostname", text_or_null(info.os.hostname)},
                  {"edition", text_or_null(info.os.edition)},
                  {"build", text_or_null(info.os.build)},
                  {"release", text_or_null(info.os.release)}};
    json["boot"] = boot_to_json(info.boot);
    json["kernels"] = list_of(info.kernels, kernel_to_json);
    json["init"] = text_or_null(info.init);
    json["enabled_services"] = safe_list(info.enabled_services);
    json["network"] = list_of(info.network, [](const NetworkInterface& interface) {
        return Json{{"stack", interface.stack},
                    {"file", safe(interface.file)},
                    {"name", text_or_null(interface.name)},
                    {"method", text_or_null(interface.method)},
                    {"mac", text_or_null(interface.mac)},
                    {"driver", text_or_null(interface.driver)}};
    });
    json["cloud_init"] = cloud_init_to_json(info.cloud_init);
    json["agents"] = list_of(info.agents, [](const InstalledAgent& agent) {
        return Json{{"name", agent.name}, {"path", agent.path}, {"enabled", agent.enabled}};
    });
    json["packages"] = {{"manager", text_or_null(info.packages.manager)}, {"count", nullptr}};
    if (info.packages.count)
        json["packages"]["count"] = *info.packages.count;
    if (!info.packages.problem.empty())
        json["packages"]["problem"] = safe(info.packages.problem);
    json["machine_id"] = text_or_null(info.machine_id);
    json["host_keys"] = safe_list(info.host_keys);
    json["users"] = list_of(info.users, [](const LoginUser& user) {
        return Json{{"name", safe(user.name)},
                    {"uid", user.uid},
                    {"password", user.has_password},
                    {"authorized_keys", user.authorized_keys}};
    });
    json["selinux"] = text_or_null(info.selinux);
    json["remarks"] = safe_list(info.remarks);
    return json;
}

namespace {

Json table_to_json(const PartitionTable& table) {
    return {{"kind", to_string(table.kind)},
            {"id", text_or_null(table.id)},
            {"sector_size", table.sector_size},
            {"partitions", list_of(table.partitions, partition_to_json)}};
}

} // namespace

Json to_json(const OpenedGuest& opened) {
    Json json;
    json["table"] = table_to_json(opened.layout.table);
    json["further_tables"] = list_of(opened.layout.further_tables, table_to_json);
    json["volumes"] = list_of(opened.layout.volumes, volume_to_json);
    Json fstab = Json::array();
    for (std::size_t i = 0; i < opened.fstab.size(); ++i) {
        const FstabEntry& entry = opened.fstab[i];
        const std::optional<std::size_t> volume = opened.fstab_volumes[i];
        fstab.push_back({{"device", safe(entry.device)},
                         {"mount_point", safe(entry.mount_point)},
                         {"type", safe(entry.type)},
                         {"options", safe_list(entry.options)},
                         {"volume", volume ? Json(safe(opened.layout.volumes[*volume].name)) : Json(nullptr)}});
    }
    json["fstab"] = fstab;
    json["mounts"] = opened.guest ? list_of(opened.guest->mounts(), mount_to_json) : Json::array();
    json["missing"] = list_of(opened.missing, [](const MissingMount& missing) {
        return Json{{"mount_point", safe(missing.mount_point)},
                    {"device", safe(missing.device)},
                    {"reason", safe(missing.reason)},
                    {"need", to_string(missing.need)}};
    });
    json["backend"] = text_or_null(opened.backend);
    json["reason"] = text_or_null(opened.reason);
    Json remarks = safe_list(opened.layout.remarks);
    for (const std::string& remark : opened.remarks)
        remarks.push_back(safe(remark));
    json["remarks"] = remarks;
    return json;
}

} // namespace vm2oci
