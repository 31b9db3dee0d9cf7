internal import CCurl
import Glibc

/// One easy handle of libcurl and the multi handle that drives it, for one thread.
final class CurlHandle {
    let easy: UnsafeMutableRawPointer
    let multi: UnsafeMutableRawPointer
    private var addresses: UnsafeMutablePointer<curl_slist>?
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))

    /// Nil when libcurl has no memory for one.
    init?() {
        Self.initialiseOnce
        guard let easy = curl_easy_init(), let multi = curl_multi_init() else { return nil }
        self.easy = easy
        self.multi = multi
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        mule_setopt_pointer(easy, CURLOPT_ERRORBUFFER, errorText)
    }

    /// Closes the connections, for which libcurl calls back: whoever takes the calls must still be there. To be called once.
    func close() {
        curl_easy_cleanup(easy)
        curl_multi_cleanup(multi)
        errorText.deallocate()
        curl_slist_free_all(addresses)
    }

    /// "libcurl/7.88.1 OpenSSL/3.0.19 …", as libcurl describes itself.
    static var version: String {
        initialiseOnce
        return String(cString: curl_version())
    }

    // curl_global_init is not safe beside other threads in old versions of libcurl, hence once and early.
    static let initialiseOnce: Void = { curl_global_init(Int(CURL_GLOBAL_DEFAULT)) }()

    func setLong(_ option: CURLoption, _ value: Int) {
        let result = mule_setopt_long(easy, option, value)
        precondition(result == CURLE_OK, "libcurl knows every option that is set here")
    }

    func setString(_ option: CURLoption, _ value: String) {
        let result = value.withCString { mule_setopt_string(easy, option, $0) }
        precondition(result == CURLE_OK, "libcurl knows every option that is set here")
    }

    /// Takes the option back to libcurl's default.
    func clear(_ option: CURLoption) {
        mule_setopt_string(easy, option, nil)
    }

    /// Addresses that need no look-up, in the form of `TransportSettings.knownAddresses`.
    func setAddresses(_ list: [String]) {
        for entry in list { addresses = curl_slist_append(addresses, entry) }
        mule_setopt_addresses(easy, addresses)
    }

    /// What libcurl says of the last failure; empty where it says nothing. Some of it may be the other side's words.
    var message: String {
        let text = UnsafeRawBufferPointer(start: errorText, count: strlen(errorText))
        return String(decoding: text.map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }

    func forgetMessage() { errorText[0] = 0 }

    /// What libcurl knows of the transfer under way or the last one; 0 where it knows nothing.
    func number(_ info: CURLINFO) -> Int {
        var value = 0
        return mule_getinfo_long(easy, info, &value) == CURLE_OK ? value : 0
    }

    /// As `number`, for a text; nil where there is none.
    func text(_ info: CURLINFO) -> String? {
        var value: UnsafeMutablePointer<CChar>?
        guard mule_getinfo_string(easy, info, &value) == CURLE_OK, let value, value[0] != 0 else { return nil }
        return String(cString: value)
    }

    /// As `number`, for what libcurl counts in 64 bits: bytes and microseconds.
    func count(_ info: CURLINFO) -> Int64 {
        var value: curl_off_t = 0
        return mule_getinfo_offset(easy, info, &value) == CURLE_OK ? Int64(value) : 0
    }
}
