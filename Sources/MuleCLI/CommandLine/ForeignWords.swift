/// Commands and options of other programs that users may try, and what mule has instead.
enum ForeignWords {
    /// - Returns: a hint that continues "unknown command …; "; nil for a word of no known program.
    static func hint(forCommand word: String) -> String? {
        switch word {
        case "cp", "put", "copy", "send", "push": "use \"mule upload SOURCE DESTINATION\""
        case "sync", "mirror":
            "use \"mule upload -r DIRECTORY bucket/prefix/\", which skips files that it uploaded before"
        case "mv", "move":
            "use \"mule archive --after move:DIR\" or --after delete, which wait for the store's confirmation"
        case "ls", "list", "lsf", "get", "download", "cat", "rm", "delete", "del":
            "mule only uploads. To list, download or delete objects use aws s3 or rclone; \"mule status --remote "
                + "BUCKET/\" lists unfinished uploads"
        case "restore": "mule only uploads. To download objects use aws s3 cp or rclone copy"
        case "retry", "continue": "use \"mule resume\""
        case "cancel", "stop", "kill": "use \"mule abort ID\""
        case "check": "use \"mule verify FILE BUCKET/KEY\", or \"mule doctor\" for this machine"
        case "log", "logs", "history", "runs": "use \"mule report\""
        case "jobs", "ps": "use \"mule status\" for uploads, \"mule report\" for jobs"
        case "login", "configure":
            "mule uses the AWS configuration: run aws configure, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        case "init", "setup": "use \"mule config init\""
        case "cleanup", "prune", "gc": "use \"mule clean\""
        default: nil
        }
    }

    /// - Parameter name: without its dashes.
    /// - Returns: a hint that continues "unknown option …; "; nil for an option of no known program.
    static func hint(forOption name: String) -> String? {
        switch name {
        case "dryrun", "simulate", "just-print": "use --dry-run"
        case "bwlimit", "bandwidth", "max-bandwidth", "rate-limit", "rate":
            "use --limit-rate, such as --limit-rate 20MB/s"
        case "transfers", "threads", "workers", "jobs", "parallel", "numworkers", "multi-thread-streams":
            "use -j (--concurrency)"
        case "chunk-size", "s3-chunk-size", "multipart-chunksize", "multipart-chunk-size-mb", "block-size":
            "use --part-size"
        case "no-verify-ssl", "no-check-certificate", "insecure":
            "certificates are always verified; --ca-bundle FILE adds a certificate authority"
        case "debug", "trace", "log-level": "use -v (--verbose)"
        case "endpoint", "host", "server", "s3-endpoint": "use --endpoint-url"
        case "bucket": "the bucket is part of DESTINATION: bucket/key"
        case "acl-public", "public-read": "use --acl public-read"
        case "resume", "continue": "mule resumes without an option"
        case "no-clobber", "ignore-existing", "skip-existing", "if-not-exists": "use --no-overwrite"
        case "delete", "remove-source-files", "move": "use \"mule archive --after delete\""
        case "timeout", "retries", "retry", "max-retries": "mule retries until nothing moves for --stall-limit"
        case "s3-provider", "vendor": "use --provider"
        case "path-style", "force-path-style": "use --addressing path"
        case "virtual-host", "virtual-hosted-style": "use --addressing virtual"
        case "no-progress": "use --progress none"
        case "no-sign-request": "every request is signed: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --profile"
        case "checksum-algorithm", "hash", "checksum-type": "use --checksum"
        case "only-show-errors", "silent", "no-stats": "use -q (--quiet)"
        case "follow-symlinks", "no-follow-symlinks", "copy-links", "links", "skip-links":
            "use --symlinks with --recursive"
        case "size-only", "update", "if-size-differ", "if-source-newer":
            "files that were uploaded before and did not change are skipped without an option"
        case "sse-c", "sse-c-key", "sse-customer-key": "mule has no keys of its own: use --sse AES256 or --sse aws:kms"
        case "server-side-encryption", "encrypt": "use --sse"
        case "content-md5", "md5": "use --checksum md5"
        case "output", "format": "use --json"
        case "max-concurrent-requests", "upload-concurrency", "s3-upload-concurrency": "use -j (--concurrency)"
        case "log": "use --log-file"
        case "conf", "config-file": "use --config"
        default: nil
        }
    }

    /// A single-letter option of another program.
    static func hint(forLetter letter: Character) -> String? {
        switch letter {
        case "P": "progress is shown without an option"
        case "p": "use -j for requests in flight, --profile for a profile"
        case "k": "certificates are always verified; --ca-bundle FILE adds a certificate authority"
        case "f": "use --force, or --config for another configuration"
        case "c": "use --config"
        case "d": "use -v (--verbose)"
        default: nil
        }
    }
}
