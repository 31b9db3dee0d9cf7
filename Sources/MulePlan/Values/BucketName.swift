import Glibc

/// Rules for bucket names, beyond the characters that a destination accepts.
package enum BucketName {
    /// Which rules apply.
    package enum Rules: Sendable {
        /// Any store's, with the bucket in the path.
        case inPath
        /// Any store's, with the bucket in the host name.
        case inHost
        /// Amazon's: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
        case amazon
    }

    /// Why most stores refuse this name, as a sentence; nil for a usual name.
    package static func doubt(_ name: String) -> String? {
        if AccessPoint(bucket: name) != nil { return nil }
        let isUsual = name.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
                || $0 == UInt8(ascii: ".")
        }
        return isUsual
            ? nil : "Is \(name) the bucket's name? At most stores it may only have lower-case letters, digits, - and ."
    }

    /// Why no bucket can have this name, as a sentence; nil if one can.
    package static func problem(_ name: String, _ rules: Rules) -> String? {
        if name == "." || name == ".." { return "A bucket cannot be named \(name)." }
        if AccessPoint(bucket: name) != nil { return nil }
        if name.hasSuffix("--x-s3") {
            return
                "\(name) is a directory bucket (S3 Express One Zone), which mule cannot write to: use another bucket."
        }
        if name.hasSuffix("--xa-s3") {
            return
                "\(name) is an access point of a directory bucket (S3 Express One Zone), which mule cannot write to: "
                + "use another bucket."
        }
        if name.hasSuffix("--op-s3") {
            return "\(name) is a bucket on Outposts, which mule cannot write to: use a bucket of the region."
        }
        let isLower = !name.utf8.contains { (0x41...0x5A).contains($0) || $0 == UInt8(ascii: "_") }
        switch rules {
        case .inPath: return nil
        case .inHost:
            return isLower
                ? nil : "The bucket \(name) cannot be part of a host name: add --addressing path."
        case .amazon:
            guard isLower else {
                return "Amazon's bucket names have no upper-case letters and no _: check \(name). (For a bucket from "
                    + "before 2018 add --addressing path.)"
            }
            guard (3...63).contains(name.utf8.count) else {
                return "Amazon's bucket names are 3 to 63 characters long: check \(name)."
            }
            var address = in_addr()
            guard !".-".contains(name.first ?? "."), !".-".contains(name.last ?? "."), !name.contains(".."),
                inet_pton(AF_INET, name, &address) != 1
            else { return "Amazon does not allow this bucket name: check \(name)." }
            return nil
        }
    }
}
