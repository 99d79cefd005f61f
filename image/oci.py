"""Writes an OCI image layout from root filesystems. The same input gives the same bytes: entries are sorted, and times are
that of the commit."""
import gzip
import hashlib
import io
import json
import os
import stat
import tarfile

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Layout:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(os.path.join(folder, "blobs", "sha256"))

    def blob(self, content, media, **more):
        digest = hashlib.sha256(content).hexdigest()
        with open(os.path.join(self.folder, "blobs", "sha256", digest), "wb") as file:
            file.write(content)
        return {"mediaType": media, "digest": "sha256:" + digest, "size": len(content), **more}

    def json(self, document, media, **more):
        return self.blob(json.dumps(document, sort_keys=True).encode(), media, **more)

    def finish(self, images, annotations, name):
        """One index of the images of every kind of machine, under a name."""
        index = self.json({"schemaVersion": 2, "mediaType": INDEX, "manifests": images, "annotations": annotations}, INDEX)
        index["annotations"] = {"org.opencontainers.image.ref.name": name}
        self.write_index([index])

    def write_index(self, manifests):
        """What a reader of the layout looks at first."""
        for path, document in (("index.json", {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}),
                               ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
            with open(os.path.join(self.folder, path), "w") as file:
                json.dump(document, file)


def members(root, keep):
    """Paths below root, parents first, that `keep` wants."""
    out = []
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.relpath(os.path.join(folder, name), root)
            if keep(path):
                out.append(path)
    return sorted(out)


def layer(root, paths, owner_of, epoch):
    """A tar of the paths: its bytes, and what they unpack to."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in paths:
            full = os.path.join(root, path)
            info = tar.gettarinfo(full, arcname=path)
            info.uid = info.gid = owner_of(path)
            info.uname = info.gname = ""
            info.mtime = epoch
            if stat.S_ISREG(os.lstat(full).st_mode):
                with open(full, "rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
    plain = buffer.getvalue()
    return gzip.compress(plain, compresslevel=9, mtime=0), "sha256:" + hashlib.sha256(plain).hexdigest(), len(plain)
