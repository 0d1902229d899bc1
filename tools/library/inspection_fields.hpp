// The members of an inspection as a document has them.
#pragma once

#include <vm2oci/inspection.hpp>

namespace vm2oci::v0 {

template <class Archive>
void fields(Archive& archive, Hint& value) {
    archive.field("kind", value.kind);
    archive.field("argument", value.argument);
}

template <class Archive>
void fields(Archive& archive, BlockCounts& value) {
    archive.field("data", value.data);
    archive.field("compressed", value.compressed);
    archive.field("zero", value.zero);
    archive.field("unallocated", value.unallocated);
}

template <class Archive>
void fields(Archive& archive, Qcow2Snapshot& value) {
    archive.field("id", value.id);
    archive.field("name", value.name);
    archive.field("disk_size", value.disk_size);
    archive.field("vm_state_size", value.vm_state_size);
    archive.field("created", value.created);
}

template <class Archive>
void fields(Archive& archive, Qcow2Details& value) {
    archive.field("version", value.version);
    archive.field("cluster_size", value.cluster_size);
    archive.field("refcount_bits", value.refcount_bits);
    archive.field("compression", value.compression);
    archive.field("features", value.features);
    archive.field("clusters", value.clusters);
    archive.field("snapshots", value.snapshots);
    archive.maybe("backing_file", value.backing_file);
    archive.maybe("data_file", value.data_file);
}

template <class Archive>
void fields(Archive& archive, ParentDisk& value) {
    archive.maybe("content_id", value.content_id);
    archive.maybe("disk_id", value.disk_id);
    archive.maybe("data_id", value.data_id);
    archive.field("name", value.name);
}

template <class Archive>
void fields(Archive& archive, VmdkExtent& value) {
    archive.field("type", value.type);
    archive.field("name", value.name);
    archive.field("size", value.size);
}

template <class Archive>
void fields(Archive& archive, VmdkDetails& value) {
    archive.field("create_type", value.create_type);
    archive.field("version", value.version);
    archive.field("grain_size", value.grain_size);
    archive.field("compressed", value.compressed);
    archive.field("features", value.features);
    archive.field("content_id", value.content_id);
    archive.field("grains", value.grains);
    archive.field("extent_count", value.extent_count);
    archive.field("extents", value.extents);
    archive.maybe("parent", value.parent);
}

template <class Archive>
void fields(Archive& archive, VhdDetails& value) {
    archive.field("type", value.type);
    archive.field("block_size", value.block_size);
    archive.field("creator", value.creator);
    archive.field("size_by_geometry", value.size_by_geometry);
    archive.field("disk_id", value.disk_id);
    archive.field("blocks", value.blocks);
    archive.maybe("parent", value.parent);
}

template <class Archive>
void fields(Archive& archive, VhdxDetails& value) {
    archive.field("type", value.type);
    archive.field("block_size", value.block_size);
    archive.field("logical_sector_size", value.logical_sector_size);
    archive.field("physical_sector_size", value.physical_sector_size);
    archive.field("creator", value.creator);
    archive.field("disk_id", value.disk_id);
    archive.field("data_id", value.data_id);
    archive.field("replayed_log_entries", value.replayed_log_entries);
    archive.field("blocks", value.blocks);
    archive.maybe("parent", value.parent);
}

template <class Archive>
void fields(Archive& archive, VdiDetails& value) {
    archive.field("type", value.type);
    archive.field("block_size", value.block_size);
    archive.field("comment", value.comment);
    archive.field("blocks", value.blocks);
}

template <class Archive>
void fields(Archive& archive, Packing& value) {
    archive.field("format", value.format);
    archive.field("stored_size", value.stored_size);
    archive.field("read", value.read);
}

template <class Archive>
void fields(Archive& archive, DiskVerdict& value) {
    archive.field("safe", value.safe);
    archive.maybe("refusal", value.refusal);
    if (archive.wants(!value.safe))
        archive.field("hint", value.hint);
}

template <class Archive>
void fields(Archive& archive, InspectedDisk& value) {
    archive.maybe("name", value.name);
    archive.maybe("path", value.path);
    archive.field("format", value.format);
    archive.field("virtual_size", value.virtual_size);
    archive.field("allocated_size", value.allocated_size);
    archive.field("file_size", value.file_size);
    archive.maybe("qcow2", value.qcow2);
    archive.maybe("vmdk", value.vmdk);
    archive.maybe("vhd", value.vhd);
    archive.maybe("vhdx", value.vhdx);
    archive.maybe("vdi", value.vdi);
    archive.maybe("compression", value.compression);
    archive.field("verdict", value.verdict);
}

template <class Archive>
void fields(Archive& archive, MachineController& value) {
    archive.field("kind", value.kind);
    archive.field("model", value.model);
}

template <class Archive>
void fields(Archive& archive, MachineDisk& value) {
    archive.field("id", value.id);
    archive.field("file", value.file);
    archive.field("controller", value.controller);
    archive.field("address", value.address);
    archive.field("capacity", value.capacity);
}

template <class Archive>
void fields(Archive& archive, MachineNic& value) {
    archive.field("model", value.model);
    archive.field("network", value.network);
    archive.field("mac", value.mac);
}

template <class Archive>
void fields(Archive& archive, Machine& value) {
    archive.field("source", value.source);
    archive.field("name", value.name);
    archive.field("annotation", value.annotation);
    archive.field("os_type", value.os_type);
    archive.field("cpus", value.cpus);
    archive.field("cores_per_socket", value.cores_per_socket);
    archive.field("memory", value.memory);
    archive.field("firmware", value.firmware);
    archive.field("secure_boot", value.secure_boot);
    archive.field("controllers", value.controllers);
    archive.field("disks", value.disks);
    archive.field("nics", value.nics);
    archive.field("remarks", value.remarks);
}

template <class Archive>
void fields(Archive& archive, ImageConfig& value) {
    archive.field("digest", value.digest);
    archive.field("os", value.os);
    archive.field("architecture", value.architecture);
    archive.field("created", value.created);
    archive.field("entrypoint", value.entrypoint);
    archive.field("command", value.command);
    archive.field("environment", value.environment);
    archive.field("labels", value.labels);
}

template <class Archive>
void fields(Archive& archive, ImageLayer& value) {
    archive.field("digest", value.digest);
    archive.field("media_type", value.media_type);
    archive.field("size", value.size);
    archive.maybe("diff_id", value.diff_id);
}

template <class Archive>
void fields(Archive& archive, Referrer& value) {
    archive.field("digest", value.digest);
    archive.field("media_type", value.media_type);
    archive.field("artifact_type", value.artifact_type);
    archive.field("size", value.size);
}

template <class Archive>
void fields(Archive& archive, InspectedImage& value) {
    archive.field("digest", value.digest);
    archive.field("media_type", value.media_type);
    archive.field("size", value.size);
    archive.field("annotations", value.annotations);
    archive.maybe("index", value.index);
    archive.maybe("config", value.config);
    archive.field("layers", value.layers);
    archive.field("content", value.content);
    archive.maybe("referrers", value.referrers);
}

template <class Archive>
void fields(Archive& archive, InspectedPartition& value) {
    archive.field("number", value.number);
    archive.field("offset", value.offset);
    archive.field("size", value.size);
    archive.field("role", value.role);
    archive.field("type", value.type);
    archive.field("type_name", value.type_name);
    archive.field("name", value.name);
    archive.field("uuid", value.uuid);
    archive.field("active", value.active);
}

template <class Archive>
void fields(Archive& archive, InspectedTable& value) {
    archive.field("kind", value.kind);
    archive.field("id", value.id);
    archive.field("sector_size", value.sector_size);
    archive.field("partitions", value.partitions);
}

template <class Archive>
void fields(Archive& archive, VolumeContent& value) {
    archive.field("kind", value.kind);
    archive.field("type", value.type);
    archive.field("version", value.version);
    archive.field("uuid", value.uuid);
    archive.field("label", value.label);
}

template <class Archive>
void fields(Archive& archive, InspectedVolume& value) {
    archive.field("name", value.name);
    archive.field("disk", value.disk);
    archive.field("size", value.size);
    archive.field("content", value.content);
}

template <class Archive>
void fields(Archive& archive, InspectedFstabEntry& value) {
    archive.field("device", value.device);
    archive.field("mount_point", value.mount_point);
    archive.field("type", value.type);
    archive.field("options", value.options);
    archive.field("volume", value.volume);
}

template <class Archive>
void fields(Archive& archive, InspectedMount& value) {
    archive.field("mount_point", value.mount_point);
    archive.field("volume", value.volume);
    archive.field("type", value.type);
    archive.field("uuid", value.uuid);
    archive.field("label", value.label);
    archive.maybe("subvolume", value.subvolume);
    archive.maybe("size", value.size);
    archive.maybe("free", value.free);
    archive.maybe("inodes", value.inodes);
    archive.maybe("free_inodes", value.free_inodes);
}

template <class Archive>
void fields(Archive& archive, InspectedMissingMount& value) {
    archive.field("mount_point", value.mount_point);
    archive.field("device", value.device);
    archive.field("reason", value.reason);
    archive.field("need", value.need);
}

template <class Archive>
void fields(Archive& archive, GuestOs& value) {
    archive.field("type", value.type);
    archive.field("distribution", value.distribution);
    archive.field("family", value.family);
    archive.field("product", value.product);
    archive.field("version", value.version);
    archive.field("codename", value.codename);
    archive.field("architecture", value.architecture);
    archive.field("hostname", value.hostname);
    archive.field("edition", value.edition);
    archive.field("build", value.build);
    archive.field("release", value.release);
}

template <class Archive>
void fields(Archive& archive, GuestEfiProgram& value) {
    archive.field("path", value.path);
    archive.field("signed", value.is_signed);
}

template <class Archive>
void fields(Archive& archive, GuestBoot& value) {
    archive.field("bios", value.bios);
    archive.field("uefi", value.uefi);
    archive.field("loader", value.loader);
    archive.field("efi_fallback", value.efi_fallback);
    archive.field("efi_programs", value.efi_programs);
    archive.field("command_lines", value.command_lines);
    archive.field("serial_consoles", value.serial_consoles);
}

template <class Archive>
void fields(Archive& archive, GuestInitrd& value) {
    archive.field("path", value.path);
    archive.field("size", value.size);
    archive.field("compression", value.compression);
    archive.field("files", value.files);
    archive.field("problem", value.problem);
}

template <class Archive>
void fields(Archive& archive, GuestKernel& value) {
    archive.field("version", value.version);
    archive.field("path", value.path);
    archive.field("size", value.size);
    archive.field("architecture", value.architecture);
    archive.field("has_modules", value.has_modules);
    archive.field("boots_on_virtio", value.boots_on_virtio);
    archive.field("drivers", value.drivers);
    archive.field("initrd", value.initrd);
}

template <class Archive>
void fields(Archive& archive, GuestInterface& value) {
    archive.field("stack", value.stack);
    archive.field("file", value.file);
    archive.field("name", value.name);
    archive.field("method", value.method);
    archive.field("mac", value.mac);
    archive.field("driver", value.driver);
}

template <class Archive>
void fields(Archive& archive, GuestCloudInit& value) {
    archive.field("installed", value.installed);
    archive.field("version", value.version);
    archive.field("disabled", value.disabled);
    archive.field("network_disabled", value.network_disabled);
    archive.field("datasources", value.datasources);
    archive.field("datasource_file", value.datasource_file);
    archive.field("instances", value.instances);
    archive.field("has_seed", value.has_seed);
}

template <class Archive>
void fields(Archive& archive, GuestAgent& value) {
    archive.field("name", value.name);
    archive.field("path", value.path);
    archive.field("enabled", value.enabled);
}

template <class Archive>
void fields(Archive& archive, GuestPackages& value) {
    archive.field("manager", value.manager);
    archive.field("count", value.count);
    archive.maybe("problem", value.problem);
}

template <class Archive>
void fields(Archive& archive, GuestUser& value) {
    archive.field("name", value.name);
    archive.field("uid", value.uid);
    archive.field("password", value.password);
    archive.field("authorized_keys", value.authorized_keys);
}

template <class Archive>
void fields(Archive& archive, InspectedGuest& value) {
    archive.field("os", value.os);
    archive.field("boot", value.boot);
    archive.field("kernels", value.kernels);
    archive.field("init", value.init);
    archive.field("enabled_services", value.enabled_services);
    archive.field("network", value.network);
    archive.field("cloud_init", value.cloud_init);
    archive.field("agents", value.agents);
    archive.field("packages", value.packages);
    archive.field("machine_id", value.machine_id);
    archive.field("host_keys", value.host_keys);
    archive.field("users", value.users);
    archive.field("selinux", value.selinux);
    archive.field("remarks", value.remarks);
}

template <class Archive>
void fields(Archive& archive, GuestProblem& value) {
    archive.field("fix", value.fix);
    archive.field("text", value.text);
}

template <class Archive>
void fields(Archive& archive, Inside& value) {
    archive.maybe("refusal", value.refusal);
    if (!archive.wants(!value.refusal))
        return;
    archive.field("table", value.table);
    archive.field("further_tables", value.further_tables);
    archive.field("volumes", value.volumes);
    archive.field("fstab", value.fstab);
    archive.field("mounts", value.mounts);
    archive.field("missing", value.missing);
    archive.field("backend", value.backend);
    archive.field("reason", value.reason);
    archive.field("remarks", value.remarks);
    archive.field("guest", value.guest);
    archive.field("problems", value.problems);
}

template <class Archive>
void fields(Archive& archive, Inspection& value) {
    archive.field("source", value.source);
    archive.maybe("disk", value.disk);
    archive.maybe("disks", value.disks);
    archive.maybe("image", value.image);
    archive.maybe("no_disk", value.no_disk);
    archive.maybe("machine", value.machine);
    archive.maybe("content", value.content);
    archive.maybe("remarks", value.remarks);
    if (archive.wants(!value.no_disk))
        archive.field("inside", value.inside);
}

} // namespace vm2oci::v0
