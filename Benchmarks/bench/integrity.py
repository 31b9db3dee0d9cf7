"""Which checksums a client sends, as text, from the requests that the sink received."""

ALGORITHMS = {"CRC64NVME": "CRC-64/NVME", "CRC32C": "CRC-32C", "CRC32": "CRC-32", "SHA256": "SHA-256", "SHA1": "SHA-1"}


def words(seen):
    bodies = seen["bodies"]
    if not bodies:
        return "sent nothing"

    def share(name, text):
        count = seen[name]
        if count == 0:
            return []
        # The first requests of a client may differ, while it finds out what the store supports.
        return [text if count >= bodies else f"{text} ({count} of {bodies} requests)"]

    each = share("payloadSigned", "signed SHA-256") + share("chunksSigned", "signed SHA-256 of each chunk")
    for name, text in ALGORITHMS.items():
        each += share(f"header{name}", f"{text} in the header") + share(f"trailer{name}", f"{text} in the trailer")
    each += share("contentMD5", "MD5")
    phrases = ["each request: " + (", ".join(each) if each else "nothing")]
    if seen["completes"]:
        if seen["completeWhole"]:
            phrases.append("whole object: checksum with Complete")
        elif seen["completeParts"]:
            phrases.append("whole object: the parts' checksums again with Complete")
        elif seen["metadataMD5"]:
            phrases.append("whole object: MD5 in the metadata, which no store checks")
        else:
            phrases.append("whole object: nothing")
    if seen["completeSize"]:
        phrases.append("size with Complete")
    if seen["objects"]:
        looked = seen["confirmed"]
        phrases.append("checked afterwards" if looked >= seen["objects"] else "not checked afterwards" if not looked
                       else f"{looked} of {seen['objects']} checked afterwards")
    return "; ".join(phrases)
