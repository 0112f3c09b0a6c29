//! Compiles a hot loop for the instruction set of the machine it runs on, without `unsafe`.

/// Defines a function whose body, and everything `#[inline(always)]` in it, is compiled once for
/// the baseline and once with AVX2 and FMA, and chosen at run time. It may have one type parameter.
///
/// The body is the method of a type rather than a closure: the compiler-made shim around a closure
/// is not always inlined into the dispatching function, and then every `mul_add` is a library call.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$t:ident: $bound:ident>)? (
        $($arg:ident: $ty:ty),* $(,)?
    ) -> $ret:ty $body:block) => {
        $(#[$meta])*
        $vis fn $name $(<$t: $bound>)? ($($arg: $ty),*) -> $ret {
            struct Body<Arguments>(Arguments);
            impl $(<$t: $bound>)? pulp::NullaryFnOnce for Body<($($ty,)*)> {
                type Output = $ret;
                #[inline(always)]
                fn call(self) -> $ret {
                    let ($($arg,)*) = self.0;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Body(($($arg,)*)))
        }
    };
}
pub(crate) use vectorised;
