# One interface package from its definitions, for Python alone.
cmake_minimum_required(VERSION 3.16)
project(${PACKAGE})

find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
foreach(dependency ${DEPENDENCIES})
  find_package(${dependency} REQUIRED)
endforeach()

# The C++ half is not used by rclpy and takes half of the time.
list(FILTER AMENT_EXTENSIONS_rosidl_generate_idl_interfaces EXCLUDE REGEX "_cpp")

file(GLOB definitions RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} msg/*.msg srv/*.srv action/*.action)
rosidl_generate_interfaces(${PROJECT_NAME} ${definitions} DEPENDENCIES ${DEPENDENCIES})

ament_export_dependencies(rosidl_default_runtime)
ament_package()
