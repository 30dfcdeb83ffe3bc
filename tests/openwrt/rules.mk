# A stand-in for the parts of OpenWrt's build system that the feed's Makefile uses: its steps, as targets.
# https://openwrt.org/docs/guide-developer/packages

INCLUDE_DIR:=$(TOPDIR)/include
PKG_BUILD_DIR:=$(TOPDIR)/build
PKG_INSTALL_DIR:=$(TOPDIR)/installed
CP:=cp -fpR
INSTALL_DIR:=install -d -m0755
INSTALL_BIN:=install -m0755
INSTALL_DATA:=install -m0644
INSTALL_CONF:=install -m0600

define BuildPackage
export CONFFILES:=$$(Package/$(1)/conffiles)
export PREINST=$$(Package/$(1)/preinst)
export PRERM=$$(Package/$(1)/prerm)
export FIELDS=$$(Package/$(1))

all:
	$$(Build/Prepare)
	$$(call Package/$(1)/install,$$(TOPDIR)/root)
	echo "$$$$CONFFILES" >$$(TOPDIR)/conffiles
	echo "$$$$PREINST" >$$(TOPDIR)/preinst
	echo "$$$$PRERM" >$$(TOPDIR)/prerm
	echo "$$$$FIELDS" >$$(TOPDIR)/fields
endef
