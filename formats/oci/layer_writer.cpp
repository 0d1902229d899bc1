#include "formats/oci/layer_writer.hpp"

namespace vm2oci {

std::string layer_media_type(Compression compression) {
    switch (compression) {
    case Compression::none:
        return media_type::oci_layer;
    case Compression::gzip:
        return media_type::oci_layer_gzip;
    case Compression::zstd:
        return media_type::oci_layer_zstd;
    }
    return media_type::oci_layer;
}

LayerWriter::LayerWriter(ImageDestination& destination, CompressionSpec spec, const OperationContext& operation)
    : compression_(spec.algorithm), blob_(destination.begin_blob()), encoder_(spec, *blob_, operation) {}

void LayerWriter::write(std::span<const std::byte> bytes) {
    encoder_.write(bytes);
}

void LayerWriter::end_frame() {
    encoder_.end_frame();
}

void LayerWriter::end_frame_stored() {
    encoder_.end_frame_stored();
}

StoredLayer LayerWriter::finish() {
    EncodedLayer encoded = encoder_.finish();
    const BlobIdentity blob = blob_->commit();
    return {.descriptor = {.media_type = layer_media_type(compression_), .digest = blob.digest, .size = blob.size},
            .diff_id = encoded.diff_id ? Digest(*encoded.diff_id) : blob.digest,
            .content_size = encoded.content_size,
            .frames = std::move(encoded.frames)};
}

} // namespace vm2oci
